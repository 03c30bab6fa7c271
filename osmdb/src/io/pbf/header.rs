//! What a file demands of its reader.

use super::super::error::PbfProblem;
use super::proto::HeaderBlock;
use super::wire::decode;

const SUPPORTED: [&str; 3] = ["OsmSchema-V0.6", "DenseNodes", "HistoricalInformation"];

/// Checks that every feature the file requires is known.
pub(super) fn check(content: &[u8]) -> Result<(), PbfProblem> {
    let header: HeaderBlock = decode(content, "header")?;
    match header.required_features.into_iter().find(|feature| !SUPPORTED.contains(&feature.as_str())) {
        Some(feature) => Err(PbfProblem::Feature(feature.chars().take(100).collect())),
        None => Ok(()),
    }
}
