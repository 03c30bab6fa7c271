//! The same extract in PostgreSQL with PostGIS, imported by osm2pgsql: what map servers run on.
//!
//! The server is one of its own, in a scratch directory, reached through a socket there. PostgreSQL refuses to
//! run for root, so root runs it as the user `postgres` that Debian's package makes.

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use osmdb::{BBox, Db, ElementId, Kind};
use postgres::{Client, NoTls};

use crate::child::start;
use crate::reads::{GETS, SIDES, timed};
use crate::table::{Unit, nanoseconds, percentile};
use crate::{Failure, Run};

/// A database of which nothing but the extract is in.
const DATABASE: &str = "osm";

/// Durable, as it is by default, with memory for all of a small country.
const SETTINGS: &str = "-c listen_addresses='' -c shared_buffers=512MB -c max_wal_size=4GB -c jit=off";

/// A server that ends with this value.
struct Server {
    programs: PathBuf,
    dir: tempfile::TempDir,
}

/// Runs a program as somebody whom PostgreSQL serves.
fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Result<(), Failure> {
    // The owner of this process's directory is who runs it.
    let mut command = if std::fs::metadata("/proc/self")?.uid() == 0 {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    };
    let log = tempfile::tempfile()?;
    let mut shown = log.try_clone()?;
    let status = command.args(arguments).current_dir("/").stdout(log.try_clone()?).stderr(log).status()?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    shown.rewind()?;
    shown.read_to_string(&mut text)?;
    Err(format!("{}: {text}", program.as_ref().to_string_lossy()).into())
}

/// Where the server's programs are: Debian keeps each version in a directory of its own.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut dirs: Vec<PathBuf> =
        versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    dirs.sort();
    dirs.into_iter().rfind(|dir| dir.join("initdb").exists())
}

impl Server {
    /// Starts one, or says that there is none on this machine.
    fn start() -> Result<Option<Self>, Failure> {
        let has_importer = Command::new("osm2pgsql").arg("--version").output().is_ok();
        let Some(programs) = programs().filter(|_| has_importer) else {
            return Ok(None);
        };
        let dir = tempfile::tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777))?;
        let server = Self { programs, dir };
        let data = server.dir.path().join("data");
        let [a, trust, u, postgres] = ["-A", "trust", "-U", "postgres"].map(OsStr::new);
        let d = OsStr::new("-D");
        run(server.programs.join("initdb"), &[a, trust, u, postgres, d, data.as_os_str()])?;
        let options = format!("{SETTINGS} -k {}", server.dir.path().display());
        let log = server.dir.path().join("log");
        let [w, o, l, verb] = ["-w", "-o", "-l", "start"].map(OsStr::new);
        run(
            server.programs.join("pg_ctl"),
            &[w, o, options.as_ref(), l, log.as_os_str(), d, data.as_os_str(), verb],
        )?;
        Ok(Some(server))
    }

    fn client(&self, database: &str) -> Result<Client, Failure> {
        let place = self.dir.path().display();
        Ok(Client::connect(&format!("host={place} user=postgres dbname={database}"), NoTls)?)
    }

    /// Imports the extract into a new database: its time, and the bytes that it has then.
    fn import(&self, file: &Path) -> Result<(Duration, f64), Failure> {
        let mut admin = self.client("postgres")?;
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE}"))?;
        admin.batch_execute(&format!("CREATE DATABASE {DATABASE}"))?;
        self.client(DATABASE)?.batch_execute("CREATE EXTENSION postgis; CREATE EXTENSION hstore")?;
        let empty = size(&mut admin)?;
        let start = Instant::now();
        let options =
            ["--slim", "--latlong", "--hstore-all", "--extra-attributes", "-U", "postgres", "-d", DATABASE];
        let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        arguments.extend([OsStr::new("-H"), self.dir.path().as_os_str(), file.as_os_str()]);
        run("osm2pgsql", &arguments)?;
        admin.batch_execute("CHECKPOINT")?;
        Ok((start.elapsed(), size(&mut admin)? - empty))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        let [d, m, fast, verb] = ["-D", "-m", "fast", "stop"].map(OsStr::new);
        if let Err(error) = run(self.programs.join("pg_ctl"), &[d, data.as_os_str(), m, fast, verb]) {
            eprintln!("the server of PostgreSQL did not end: {error}");
        }
    }
}

fn size(admin: &mut Client) -> Result<f64, Failure> {
    let row = admin.query_one("SELECT pg_database_size($1::text::name)", &[&DATABASE])?;
    let bytes: i64 = row.get(0);
    Ok(bytes as f64)
}

/// All features of a box, from the three tables that osm2pgsql makes for drawing maps.
fn query(client: &mut Client, statement: &postgres::Statement, bbox: BBox) -> Result<usize, Failure> {
    let degrees = |value: i32| f64::from(value) / 1e7;
    let (min, max) = (bbox.south_west(), bbox.north_east());
    let corners = [min.lon(), min.lat(), max.lon(), max.lat()].map(degrees);
    let [west, south, east, north] = &corners;
    Ok(client.query(statement, &[west, south, east, north])?.len())
}

impl Run {
    pub fn postgis(&mut self) -> Result<(), Failure> {
        let Some(server) = Server::start()? else {
            println!(
                "PostGIS: osm2pgsql or PostgreSQL is not installed, so there is nothing to compare with"
            );
            return Ok(());
        };
        self.table.beside("postgis");
        let (mut ours, mut theirs, mut disks) = (Vec::new(), Vec::new(), (0, 0.0));
        for round in 0..self.rounds {
            let dir = self.scratch.path().join(format!("beside-postgis-{round}"));
            let import = start("ours", &self.file, &dir)?;
            ours.push(import.time);
            std::fs::remove_dir_all(dir)?;
            // The file is where only its owner may look: PostgreSQL's user gets a copy.
            let copy = server.dir.path().join("extract.osm.pbf");
            std::fs::copy(&self.file, &copy)?;
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o644))?;
            let (time, bytes) = server.import(&copy)?;
            theirs.push(time);
            disks = (import.disk_bytes, bytes);
        }
        let median = |times: &mut [Duration]| percentile(times, 50).map(nanoseconds);
        let table = &mut self.table;
        let time = median(&mut ours).unwrap_or_default();
        table.add("import, durable", Unit::Nanoseconds, time, median(&mut theirs));
        table.add("on disk after the import", Unit::Bytes, disks.0 as f64, Some(disks.1));
        let dir = self.scratch.path().join("asked");
        start("ours", &self.file, &dir)?;
        let db = Db::open(&dir)?;
        let mut client = server.client(DATABASE)?;
        self.ask_boxes(&db, &mut client)?;
        self.ask_elements(&db, &mut client)
    }

    fn ask_boxes(&mut self, db: &Db, client: &mut Client) -> Result<(), Failure> {
        let within = "way && ST_MakeEnvelope($1, $2, $3, $4, 4326)";
        let tables = ["point", "line", "polygon"].map(|table| {
            format!("SELECT osm_id, tags, ST_AsBinary(way) FROM planet_osm_{table} WHERE {within}")
        });
        let statement = client.prepare(&tables.join(" UNION ALL "))?;
        let snapshot = db.snapshot();
        for (name, side) in SIDES {
            let boxes = self.some_boxes(db, side)?;
            let (mut ours, mut theirs, mut found) = (Vec::new(), Vec::new(), (0, 0));
            for _ in 0..2 {
                (ours, theirs, found) = (Vec::new(), Vec::new(), (0, 0));
                for bbox in &boxes {
                    let query_ours = || Ok(snapshot.query(*bbox).collect::<Result<Vec<_>, _>>()?);
                    found.0 += timed(&mut ours, query_ours)?.len();
                    found.1 += timed(&mut theirs, || query(client, &statement, *bbox))?;
                }
            }
            let each = |found: usize| found / boxes.len().max(1);
            let shown = format!("box of {name} ({}, {})", each(found.0), each(found.1));
            self.table.percentiles(&shown, &mut ours, &mut theirs);
        }
        Ok(())
    }

    fn ask_elements(&mut self, db: &Db, client: &mut Client) -> Result<(), Failure> {
        let mut prepare =
            |table: &str| client.prepare(&format!("SELECT * FROM planet_osm_{table} WHERE id = $1"));
        let [nodes, ways, relations] = [prepare("nodes")?, prepare("ways")?, prepare("rels")?];
        let snapshot = db.snapshot();
        let some = self.some_elements()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let get = || some.iter().try_fold(0, |sum, id| Ok::<_, Failure>(sum + snapshot.get(*id)?.len()));
            timed(&mut ours, get)?;
            let found = timed(&mut theirs, || {
                some.iter().try_fold(0, |sum, element: &ElementId| {
                    let statement = match element.kind {
                        Kind::Node => &nodes,
                        Kind::Way => &ways,
                        Kind::Relation => &relations,
                        Kind::Changeset => return Ok(sum),
                    };
                    let id = i64::try_from(element.id)?;
                    Ok::<_, Failure>(sum + client.query(statement, &[&id])?.len())
                })
            })?;
            if found != some.len() {
                return Err(format!("PostGIS has {found} of {} elements", some.len()).into());
            }
        }
        let each = |times: &mut [Duration]| percentile(times, 50).map(|time| nanoseconds(time) / GETS as f64);
        let time = each(&mut ours).unwrap_or_default();
        self.table.add("get by id, warm", Unit::Nanoseconds, time, each(&mut theirs));
        Ok(())
    }
}
