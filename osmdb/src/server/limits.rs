//! What a request may cost.

use std::time::Duration;

/// What a server takes from clients, and how long it waits for them.
///
/// What is a limit of the API stands in [`capabilities`](https://wiki.openstreetmap.org/wiki/API_v0.6#Capabilities),
/// where clients read it.
///
/// ```
/// use osmdb::server::Limits;
/// let limits = Limits { map_nodes: 1_000, ..Limits::default() };
/// assert_eq!(limits.changeset_elements, 10_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest box of a map call, in square units of 10⁻⁷ degree: a quarter of a square degree.
    pub map_area: u64,
    /// The largest box that notes are asked for in, in square units of 10⁻⁷ degree: 25 square degrees.
    pub note_area: u64,
    /// So many nodes a map call answers at most.
    pub map_nodes: usize,
    /// So many edits a changeset takes.
    pub changeset_elements: u64,
    /// So many elements are asked for at once.
    pub elements: usize,
    /// So many bytes a body has at most, as it comes and unpacked. Of bodies beyond 1 MiB, two come at a time.
    pub body: usize,
    /// So many requests are worked on at a time; others wait.
    pub at_work: usize,
    /// So many connections are open; further ones wait until one has ended.
    pub connections: usize,
    /// A client that neither sends nor takes a byte for so long, though it is its turn, is dropped.
    pub silence: Duration,
    /// The head of a request takes so long at most, and the whole of it ten times as long.
    pub head: Duration,
    /// When the server is told to stop, it waits so long for those that it is answering.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            map_area: 25_000_000_000_000,
            note_area: 2_500_000_000_000_000,
            map_nodes: 50_000,
            changeset_elements: 10_000,
            elements: 20_000,
            body: 50 << 20,
            at_work: 16,
            connections: 512,
            silence: Duration::from_secs(30),
            head: Duration::from_secs(15),
            farewell: Duration::from_secs(30),
        }
    }
}
