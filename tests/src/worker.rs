//! The other process: runs the program `worker`, to be killed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use prolly::Cid;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdout: BufReader<ChildStdout>,
    started: Instant,
}

/// What a worker left behind.
#[derive(Debug)]
pub struct Report {
    /// The roots it has reported, in order.
    pub roots: Vec<Cid>,
    /// Whether it came to its end.
    pub finished: bool,
    /// How long it ran.
    pub took: Duration,
}

impl Worker {
    /// Starts the program at a path on a database.
    #[must_use]
    pub fn start(program: &str, db: &Path, steps: &[String]) -> Self {
        let mut command = Command::new(program);
        command.arg(db).args(steps).stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().expect("the worker starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, stdout, started }
    }

    /// Waits for the next root that it reports.
    pub fn next_root(&mut self) -> Option<Cid> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its output can be read");
        line.trim_end().parse().ok()
    }

    /// Kills it with SIGKILL after a while, if it still runs, and returns what it reported.
    #[must_use]
    pub fn kill_after(mut self, delay: Duration) -> Report {
        std::thread::sleep(delay);
        self.child.kill().expect("it can be killed");
        self.report()
    }

    /// Waits for its end.
    #[must_use]
    pub fn finish(mut self) -> Report {
        drop(self.child.stdin.take());
        self.report()
    }

    fn report(mut self) -> Report {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("its output can be read");
        let finished = self.child.wait().expect("it ends").success();
        let took = self.started.elapsed();
        // A line without its end was not reported.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let roots = lines.map(|line| line.trim_end().parse().expect("a root")).collect();
        Report { roots, finished, took }
    }
}
