//! `publish`, and the reading verbs on a dataset that was published or that a peer has: `--from`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use osmdb::io::FileFormat;
use osmdb::net::{Fingerprint, Identity, NetError, PeerOrigin};
use osmdb::{
    Ask, AskNearest, At, BBox, BlockingRemote, ElementId, Feature, Filter, Folder, Kind, MAX_ASK_IDS,
    PackOrigin, PageOrigin, Payload, Pins, RemoteError, RemoteOptions, Traffic,
};
use prolly::{FjallStore, MemoryStore, PageStore};

use super::caller::Caller;
use super::database::{self, Directory};
use super::failure::Failure;
use super::output::{Out, counted, note, size};
use super::trust::{self, Trust};
use super::{Verb, export, history, nearby, nearest, pins, query, show, sync};

/// What the address of a peer begins with. Everything else is a place with files.
const PEERS: [&str; 5] = ["tcp://", "ws://", "iroh://", "ssh://", "exec:"];

pub(super) fn publish(dir: &Directory, at: Option<At>, to: &str) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = database::snapshot(&db, at)?;
    let mut folder = Folder::open(to).map_err(|source| Failure::Folder { name: to.to_owned(), source })?;
    let published = db.publish_signed(&snapshot, &mut folder)?;
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
    /// `None`: what is pinned in the cache.
    pub(super) name: Option<String>,
    pub(super) cache: Option<PathBuf>,
    pub(super) accept: Vec<Fingerprint>,
    pub(super) at: Option<At>,
    pub(super) trust: Trust,
    /// The database of whoever asks, if there is one.
    pub(super) own: Directory,
}

impl From {
    pub(super) fn run(&self, verb: &Verb) -> Result<(), Failure> {
        if let Some(done) = pins::without_asking(verb, self.cache.as_deref()) {
            return done;
        }
        if !is_answered(verb) {
            return Err(if self.name.is_some() { Failure::NotFrom } else { Failure::NothingToCache });
        }
        if matches!(verb, Verb::Pin { .. }) && (self.name.is_none() || self.cache.is_none()) {
            return Err(Failure::NoCache);
        }
        match &self.cache {
            Some(dir) if self.name.is_none() => {
                let cache = FjallStore::open_existing(dir).map_err(|_| Failure::NothingToCache)?;
                self.run_with(verb, cache)
            }
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
        let options = self.trust.options(root, &self.home())?;
        let Some(name) = &self.name else {
            if Pins::in_cache(&cache).map_err(RemoteError::from)?.is_none() {
                return Err(Failure::NothingToCache);
            }
            return self.read_pinned(&options, cache, verb);
        };
        if PEERS.iter().any(|scheme| name.starts_with(scheme)) {
            let address = name.parse().map_err(Failure::Address)?;
            let runtime = sync::runtime()?;
            let caller = self.caller(&cache)?;
            let connection = match caller.connect(&runtime, &address, &self.accept) {
                Err(failure) if failure.is_out_of_reach() && !matches!(verb, Verb::Pin { .. }) => {
                    if Pins::in_cache(&cache).map_err(RemoteError::from)?.is_none() {
                        return Err(failure);
                    }
                    return self.read_pinned(&options, cache, verb);
                }
                connected => connected?,
            };
            // What is kept already need not come again with the greeting.
            let key = connection.peer();
            let first = self.cache.is_none().then(|| first_ask(verb)).transpose()?.flatten();
            let origin = match first {
                Some(ask) if options.root.is_none() => PeerOrigin::asking(name.as_str(), connection, ask),
                _ => PeerOrigin::new(name.as_str(), connection),
            };
            let read = self.read(&options, vec![origin.of_peer(key)], cache, verb);
            let result = read.map_err(|failure| match failure.stranger() {
                Some(_) if caller.home.is_none() => Failure::NoKey { address: name.clone() },
                Some(ours) => Failure::peer(name, NetError::NotKnownThere { ours }),
                None => failure,
            });
            nearby::end(runtime);
            return result;
        }
        if !self.accept.is_empty() {
            return Err(Failure::NobodyToAccept);
        }
        let failed = |source| Failure::Folder { name: name.clone(), source };
        let origin = PackOrigin::new(Folder::open(name).map_err(failed)?);
        self.read(&options, vec![origin], cache, verb)
    }

    /// Says who calls: the device that has the database here; without one, the device that has the cache.
    fn caller<C: PageStore>(&self, cache: &C) -> Result<Caller, Failure> {
        match database::existing(&self.own) {
            Ok(db) => Ok(Caller { identity: Identity::of(&db)?, home: Some(self.own.path.clone()) }),
            Err(Failure::NoDatabase(_)) => {
                Ok(Caller { identity: Identity::in_store(cache)?, home: self.cache.clone() })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns where it is kept who is known: with the database here, or else with the cache.
    fn home(&self) -> Directory {
        let path = match &self.cache {
            Some(cache) if database::look(&self.own).is_err() => cache,
            _ => &self.own.path,
        };
        self.own.other(path)
    }

    /// Reads what is pinned, and asks nobody.
    fn read_pinned<C: PageStore>(
        &self,
        options: &RemoteOptions,
        cache: C,
        verb: &Verb,
    ) -> Result<(), Failure> {
        self.read(options, Vec::<PackOrigin<Folder>>::new(), cache, verb)
    }

    fn read<O: PageOrigin, C: PageStore>(
        &self,
        options: &RemoteOptions,
        origins: Vec<O>,
        cache: C,
        verb: &Verb,
    ) -> Result<(), Failure> {
        let remote = BlockingRemote::open_with(options, origins, cache)?;
        if let Some(pins) = remote.offline() {
            note(&format!("nobody was asked: this is what is pinned, {}", pins::shown(pins)));
        }
        let result = match verb {
            Verb::Pin { bbox, json } => pins::pin(&remote, *bbox, *json),
            Verb::CheckOut { bbox } => pins::check_out(&remote, *bbox, &self.own),
            Verb::Query(args) if remote.offline().is_some() => answer(&remote, &Verb::Query(args.by_place())),
            Verb::Nearest(args) if remote.offline().is_some() => {
                answer(&remote, &Verb::Nearest(args.by_place()))
            }
            _ => answer(&remote, verb),
        };
        let Traffic { rounds, requests, bytes, pages } = remote.traffic();
        note(&format!(
            "read {} in {}, {} of them one after another, {}",
            counted(pages, "page", "pages"),
            counted(requests, "request", "requests"),
            rounds,
            size(bytes)
        ));
        if options.root.is_none() && remote.offline().is_none() {
            note(&trust::shown(remote.root(), remote.signed(), &self.home()));
        }
        result
    }
}

/// Tells whether a verb can be answered from elsewhere.
const fn is_answered(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Root { .. }
            | Verb::Get { .. }
            | Verb::Query(_)
            | Verb::Nearest(_)
            | Verb::History { .. }
            | Verb::Refs { .. }
            | Verb::Changes { .. }
            | Verb::Export { changeset: None, .. }
            | Verb::Pin { .. }
            | Verb::CheckOut { .. }
    )
}

/// Returns what a verb will ask first.
fn first_ask(verb: &Verb) -> Result<Option<Ask>, Failure> {
    Ok(match verb {
        Verb::Get { elements } => {
            let elements: BTreeSet<ElementId> = elements.iter().copied().collect();
            Some(Ask::Get(elements.into_iter().take(MAX_ASK_IDS).collect()))
        }
        Verb::Query(args) => {
            let filter = query::joined(&args.filter);
            match args.area()? {
                Some(bbox) if args.counts() => Some(Ask::Count(bbox, filter)),
                _ if args.limit().is_some() => None,
                Some(bbox) => Some(Ask::Query(bbox, filter)),
                None => Some(Ask::Search(filter)),
            }
        }
        Verb::Nearest(args) => Some(nearest_ask(args)),
        Verb::History { element, .. } => Some(Ask::History(*element)),
        Verb::Refs { elements, .. } => elements.first().map(|element| Ask::Refs(*element)),
        Verb::Export { bbox, .. } => bbox.map(Ask::Map),
        _ => None,
    })
}

fn nearest_ask(args: &nearest::NearestArgs) -> Ask {
    let (from, filter) = (args.place(), query::joined(&args.filter));
    let at_most = u32::try_from(args.limit).unwrap_or(u32::MAX);
    Ask::Nearest(AskNearest { from, filter, within: args.within, at_most })
}

/// Brings what the verb will read in as few requests as possible, and then runs it as it runs here.
fn answer<O: PageOrigin, C: PageStore>(remote: &BlockingRemote<O, C>, verb: &Verb) -> Result<(), Failure> {
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
            remote.bring(nearest_ask(args))?;
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
        Verb::Changes { changeset } => history::changes_of(&snapshot, *changeset),
        Verb::Export { file, bbox, history, changeset: None, json } => {
            let is_drawn = export::draws(file, *history)?;
            match bbox {
                // What clips an extract is the map call.
                Some(bbox) if !is_drawn => drop(remote.bring(Ask::Map(*bbox))?),
                None if !is_drawn => bring_entries(remote, file, *history)?,
                bbox => {
                    let bbox = bbox.map_or_else(export::everything, Ok)?;
                    let features = bring_features(remote, Some(bbox), &query::joined(&[]))?;
                    bring_areas(remote, &features)?;
                }
            }
            export::write(&snapshot, file, *bbox, *history, *json)
        }
        _ => Err(Failure::NotFrom),
    }
}

fn bring_features<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
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
fn bring_areas<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
    relations: &[Feature],
) -> Result<(), Failure> {
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

/// Brings all entries: the whole dataset, but for what follows from them.
fn bring_entries<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
    file: &Path,
    history: bool,
) -> Result<(), Failure> {
    let mut trees = vec!["heads".to_owned()];
    if history || FileFormat::is_history(file) {
        trees.push("history".to_owned());
    }
    remote.bring(Ask::Trees(trees))?;
    Ok(())
}

fn bring_heads<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
    elements: BTreeSet<ElementId>,
) -> Result<(), Failure> {
    each(remote, elements).try_for_each(|heads| heads.map(drop))
}

fn each<O: PageOrigin, C: PageStore>(
    remote: &BlockingRemote<O, C>,
    elements: BTreeSet<ElementId>,
) -> impl Iterator<Item = Result<Vec<osmdb::Head>, Failure>> + '_ {
    let elements: Vec<ElementId> = elements.into_iter().collect();
    let chunks: Vec<Vec<ElementId>> = elements.chunks(MAX_ASK_IDS).map(<[ElementId]>::to_vec).collect();
    chunks.into_iter().flat_map(|chunk| remote.get_many(chunk)).map(|heads| Ok(heads?))
}
