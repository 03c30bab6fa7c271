//! The other process: runs the program `worker`, to be killed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use prolly::Cid;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdout: BufReader<ChildStdout>,
    roots: Vec<Cid>,
}

/// What a worker left behind.
#[derive(Debug)]
pub struct Report {
    /// The roots it has reported, in order.
    pub roots: Vec<Cid>,
    /// Whether it came to its end.
    pub finished: bool,
}

impl Worker {
    /// Starts the program at a path on a database.
    #[must_use]
    pub fn start(program: &str, db: &Path, steps: &[String]) -> Self {
        let mut command = Command::new(program);
        command.arg(db).args(steps).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the worker starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, stdout, roots: Vec::new() }
    }

    /// Waits for the next root that it reports.
    pub fn next_root(&mut self) -> Option<Cid> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its output can be read");
        let root = line.trim_end().parse().ok();
        self.roots.extend(root);
        root
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
        // A line without its end was not reported.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        self.roots.extend(lines.map(|line| line.trim_end().parse::<Cid>().expect("a root")));
        Report { roots: self.roots, finished }
    }
}
