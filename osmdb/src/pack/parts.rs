//! Reading parts of packs: places that are near one another together, and several at once.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;

use super::format::{PackFile, Place};

/// Ranges that are no farther apart than this are read as one: a request costs about as much.
const GAP_BYTES: u64 = 3 << 10;

/// While there are more ranges than this in one pack, the two that are nearest to each other become one.
const MAX_RANGES: usize = 7;

/// But not if they are farther apart than this.
const MAX_GAP_BYTES: u64 = 48 << 10;

/// No range is longer than this.
const MAX_RANGE_BYTES: u64 = 8 << 20;

/// So many requests are under way at once at most.
const MAX_IN_FLIGHT: usize = 8;

/// A part of a pack that was read.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) pack: PackFile,
    pub(super) at: u64,
    pub(super) bytes: Bytes,
}

/// A part of a pack that is being read.
pub(super) type Reading<'a, E> = Pin<Box<dyn Future<Output = Result<Part, E>> + Send + 'a>>;

impl Part {
    /// Returns the bytes of a record, if they are in this part.
    pub(super) fn slice(&self, place: &Place) -> Option<Bytes> {
        if place.pack != self.pack.number {
            return None;
        }
        let from = usize::try_from(place.at.checked_sub(self.at)?).ok()?;
        let to = from.checked_add(usize::try_from(place.len).ok()?)?;
        (to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}

/// Joins places to ranges of packs that are read at once.
pub(super) fn ranges(mut places: Vec<Place>) -> Vec<(u64, Range<u64>)> {
    places.sort_unstable_by_key(|place| (place.pack, place.start()));
    let mut ranges: Vec<(u64, Range<u64>)> = Vec::new();
    for place in places {
        let (pack, start, end) = (place.pack, place.start(), place.end());
        let is_near = |range: &Range<u64>| {
            start <= range.end.saturating_add(GAP_BYTES) && end - range.start <= MAX_RANGE_BYTES
        };
        match ranges.last_mut() {
            Some((last, range)) if *last == pack && is_near(range) => range.end = range.end.max(end),
            _ => ranges.push((pack, start..end)),
        }
    }
    while ranges.len() > MAX_RANGES {
        let gap = |pair: &[(u64, Range<u64>)]| match pair {
            [(first, a), (second, b)] if first == second && b.end - a.start <= MAX_RANGE_BYTES => {
                Some(b.start.saturating_sub(a.end)).filter(|gap| *gap <= MAX_GAP_BYTES)
            }
            _ => None,
        };
        let gaps = ranges.windows(2).enumerate().filter_map(|(index, pair)| Some((gap(pair)?, index)));
        let Some((_, index)) = gaps.min() else { break };
        let (_, joined) = ranges.remove(index + 1);
        if let Some((_, range)) = ranges.get_mut(index) {
            range.end = range.end.max(joined.end);
        }
    }
    ranges
}

/// Waits for all requests, a few at a time; fails with the first that fails.
pub(super) async fn all<E>(waiting: Vec<Reading<'_, E>>) -> Result<Vec<Part>, E> {
    let mut parts = Vec::with_capacity(waiting.len());
    let mut waiting = waiting.into_iter();
    let mut under_way: Vec<Reading<'_, E>> = Vec::new();
    loop {
        under_way.extend(waiting.by_ref().take(MAX_IN_FLIGHT - under_way.len()));
        if under_way.is_empty() {
            return Ok(parts);
        }
        let came = poll_fn(|context| {
            let mut came = Vec::new();
            under_way.retain_mut(|request| match request.as_mut().poll(context) {
                Poll::Ready(part) => {
                    came.push(part);
                    false
                }
                Poll::Pending => true,
            });
            if came.is_empty() { Poll::Pending } else { Poll::Ready(came) }
        })
        .await;
        for part in came {
            parts.push(part?);
        }
    }
}
