//! Others over the same link: negentropy, which finds in which ids two sets differ, and hyperbee, which answers
//! reads of an ordered map that is elsewhere.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::table::Table;

/// Finds the differences between two sets of ids that hold what the databases of our rows hold: so many, and 50
/// more on each side, as old as any.
#[cfg(feature = "negentropy")]
pub fn negentropy(table: &mut Table, members: u64) -> Result<(), Failure> {
    use std::time::Instant;

    use negentropy::{Id, Negentropy, NegentropyStorageVector};

    const APART: u64 = 50;
    /// Times are those of twenty years, in seconds.
    const TIMES: u64 = 20 * 365 * 86_400;
    let set = |from: u64| -> Result<NegentropyStorageVector, Failure> {
        let mut set = NegentropyStorageVector::with_capacity(usize::try_from(members + APART)?);
        for number in (2 * APART..members + 2 * APART).chain(from..from + APART) {
            let id = *blake3::hash(&number.to_be_bytes()).as_bytes();
            let time = u64::from_le_bytes(*id.first_chunk().ok_or("a short hash")?) % TIMES;
            set.insert(time, Id::from_byte_array(id))?;
        }
        set.seal()?;
        Ok(set)
    };
    let (ours, theirs) = (set(0)?, set(APART)?);
    let began = Instant::now();
    let (mut here, mut there) = (Negentropy::owned(ours, 0)?, Negentropy::owned(theirs, 0)?);
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let (mut trips, mut bytes) = (0, 0);
    let mut message = Some(here.initiate()?);
    while let Some(question) = message {
        let answer = there.reconcile(&question)?;
        trips += 1;
        bytes += (question.len() + answer.len()) as u64;
        message = here.reconcile_with_ids(&answer, &mut have, &mut need)?;
    }
    if (have.len(), need.len()) != (50, 50) {
        return Err(format!("negentropy found {} and {} ids", have.len(), need.len()).into());
    }
    let work = began.elapsed();
    table.other(
        "negentropy: 50 + 50 ids apart, no entries yet",
        &serde_json::json!({
            "round trips": trips,
            "bytes": bytes,
            "found": 100,
            "members": members,
            "work ms": work.as_secs_f64() * 1e3,
        }),
    );
    Ok(())
}

#[cfg(not(feature = "negentropy"))]
pub fn negentropy(table: &mut Table, _members: u64) -> Result<(), Failure> {
    table.note("negentropy", "not built: `--features negentropy`");
    Ok(())
}

/// Runs `benches/hyperbee/wire.js`, if Node and what the script needs are there.
pub fn hyperbee(table: &mut Table) -> Result<(), Failure> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("hyperbee");
    let installed = dir.join("node_modules/hyperbee").is_dir();
    let output = Command::new("node").arg("wire.js").current_dir(&dir).output();
    let output = match output {
        Ok(output) if installed => output,
        _ => {
            table.note("hyperbee", "not installed: `npm ci` in benches/hyperbee");
            return Ok(());
        }
    };
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    for line in String::from_utf8(output.stdout)?.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let name = row.get("row").and_then(|name| name.as_str()).unwrap_or("hyperbee");
        table.other(name, &row);
    }
    Ok(())
}
