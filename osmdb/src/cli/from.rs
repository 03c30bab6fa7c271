//! `publish`, and the reading verbs on a dataset that was published: `--from`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use osmdb::{
    Ask, AskNearest, At, BBox, BlockingRemote, ElementId, Feature, Filter, Folder, Kind, MAX_ASK_IDS,
    PackOrigin, Payload, RemoteOptions, Traffic,
};
use prolly::{FjallStore, MemoryStore, PageStore};

use super::database::{self, Directory};
use super::failure::Failure;
use super::output::{Out, counted, note, size};
use super::{Verb, history, nearest, query, show};

pub(super) fn publish(dir: &Directory, at: Option<At>, to: &str) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = database::snapshot(&db, at)?;
    let mut folder = Folder::open(to).map_err(|source| Failure::Folder { name: to.to_owned(), source })?;
    let published = snapshot.publish_to(&mut folder)?;
    note(&format!(
        "{} in {}, {}",
        counted(published.pages, "new page", "new pages"),
        counted(u64::try_from(published.packs).unwrap_or(u64::MAX), "pack", "packs"),
        size(published.bytes),
    ));
    let mut out = Out::new();
    out.line(published.root)?;
    out.finish()
}

/// A dataset elsewhere, as the arguments name it.
#[derive(Debug)]
pub(super) struct From {
    pub(super) name: String,
    pub(super) cache: Option<PathBuf>,
    pub(super) at: Option<At>,
}

impl From {
    pub(super) fn run(&self, verb: &Verb) -> Result<(), Failure> {
        match &self.cache {
            Some(dir) => self.run_with(verb, FjallStore::open(dir).map_err(osmdb::Error::from)?),
            None => self.run_with(verb, MemoryStore::new()),
        }
    }

    fn run_with<C: PageStore>(&self, verb: &Verb, cache: C) -> Result<(), Failure> {
        let root = match self.at {
            None => None,
            Some(At::Root(root)) => Some(root),
            Some(At::Time(_)) => return Err(Failure::NoTimeThere),
        };
        let failed = |source| Failure::Folder { name: self.name.clone(), source };
        let origins = vec![PackOrigin::new(Folder::open(&self.name).map_err(failed)?)];
        let options = RemoteOptions { root, ..RemoteOptions::default() };
        let remote = BlockingRemote::open_with(&options, origins, cache)?;
        let result = answer(&remote, verb);
        let Traffic { rounds, requests, bytes, pages } = remote.traffic();
        note(&format!(
            "read {} in {}, {} of them one after another, {}",
            counted(pages, "page", "pages"),
            counted(requests, "request", "requests"),
            rounds,
            size(bytes)
        ));
        result
    }
}

type There<C> = BlockingRemote<PackOrigin<Folder>, C>;

/// Brings what the verb will read in as few requests as possible, and then runs it as it runs here.
fn answer<C: PageStore>(remote: &There<C>, verb: &Verb) -> Result<(), Failure> {
    let snapshot = remote.snapshot();
    match verb {
        Verb::Root { json } => show::named(remote.record(), *json),
        Verb::Get { elements } => {
            bring_heads(remote, elements.iter().copied().collect())?;
            show::heads(&snapshot, elements)
        }
        Verb::Query(args) => {
            let bbox = args.area()?;
            let filter = query::joined(&args.filter);
            match bbox {
                Some(bbox) if args.counts() => drop(remote.bring(Ask::Count(bbox, filter))?),
                _ if args.limit().is_some() => {}
                bbox => {
                    let features = bring_features(remote, bbox, &filter)?;
                    if args.draws() {
                        bring_areas(remote, &features)?;
                    }
                }
            }
            query::answer(&snapshot, bbox, args)
        }
        Verb::Nearest(args) => {
            let (from, filter) = (args.place(), query::joined(&args.filter));
            let at_most = u32::try_from(args.limit).unwrap_or(u32::MAX);
            remote.bring(Ask::Nearest(AskNearest { from, filter, within: args.within, at_most }))?;
            nearest::answer(&snapshot, args)
        }
        Verb::History { element, json } => {
            let revisions = remote.history(*element)?;
            history::show(*element, &revisions, *json)
        }
        Verb::Refs { elements, json } => {
            for element in elements {
                remote.bring(Ask::Refs(*element))?;
            }
            history::refs_of(&snapshot, elements, *json)
        }
        _ => Err(Failure::NotFrom),
    }
}

fn bring_features<C: PageStore>(
    remote: &There<C>,
    bbox: Option<BBox>,
    filter: &Filter,
) -> Result<Vec<Feature>, Failure> {
    // Only relations are drawn from what else is read.
    let is_relation = |feature: &Feature| feature.element.kind == Kind::Relation;
    let mut relations = Vec::new();
    let found = match bbox {
        Some(bbox) => remote.query(bbox).filter(filter),
        None => remote.search(filter),
    };
    for feature in found {
        relations.extend(Some(feature?).filter(is_relation));
    }
    Ok(relations)
}

/// Brings the lines that areas are drawn from.
fn bring_areas<C: PageStore>(remote: &There<C>, relations: &[Feature]) -> Result<(), Failure> {
    let is_area = |feature: &&Feature| {
        feature.tags.get("type").is_some_and(|kind| ["multipolygon", "boundary"].contains(&kind))
    };
    let members = relations.iter().filter(is_area).flat_map(|feature| &feature.members);
    let ways = members.map(|member| member.element).filter(|element| element.kind == Kind::Way).collect();
    let mut nodes = BTreeSet::new();
    for heads in each(remote, ways) {
        for head in heads? {
            if let Some(Payload::Way { refs, .. }) = head.entry.payload {
                nodes.extend(refs.into_iter().map(ElementId::node));
            }
        }
    }
    bring_heads(remote, nodes)
}

fn bring_heads<C: PageStore>(remote: &There<C>, elements: BTreeSet<ElementId>) -> Result<(), Failure> {
    each(remote, elements).try_for_each(|heads| heads.map(drop))
}

fn each<C: PageStore>(
    remote: &There<C>,
    elements: BTreeSet<ElementId>,
) -> impl Iterator<Item = Result<Vec<osmdb::Head>, Failure>> + '_ {
    let elements: Vec<ElementId> = elements.into_iter().collect();
    let chunks: Vec<Vec<ElementId>> = elements.chunks(MAX_ASK_IDS).map(<[ElementId]>::to_vec).collect();
    chunks.into_iter().flat_map(|chunk| remote.get_many(chunk)).map(|heads| Ok(heads?))
}
