//! What an upload comes to: which versions it replaces, which numbers it gives, and why it cannot be.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use prolly::FjallStore;

use super::app::App;
use super::elements::{deleted, unknown};
use super::error::ApiError;
use super::read::{Action, Content, Edit};
use super::view::{UNKNOWN, limited, shown};
use crate::db::{Head, InUse, Snapshot, Write, numbers};
use crate::entry::Version;
use crate::error::Error;
use crate::model::{ElementId, Kind, Member, Payload};

/// What becomes of edits that meet others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflicts {
    /// An edit of a version that is not shown any more is refused. Of a fork, it replaces the head that is shown.
    Refuse,
    /// It replaces the version that it knew, and stands beside what replaced that.
    Fork,
    /// An edit of a fork replaces all heads.
    Resolve,
}

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Written,
    Deleted,
    /// It was to be deleted if unused, and is in use, or was deleted before.
    Kept,
}

/// What a client is told of an edit.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) element: ElementId,
    pub(crate) old_id: i64,
    /// The number of its version before, and now.
    pub(crate) before: u64,
    pub(crate) number: u64,
    pub(crate) done: Done,
    /// Which write it is.
    pub(crate) write: Option<usize>,
}

/// An element as it stands after the edits so far.
#[derive(Debug, Clone)]
struct Standing {
    heads: Vec<Head>,
    number: u64,
    is_live: bool,
    /// The write that edited it last.
    edited: Option<usize>,
}

/// An upload that is worked out.
pub(crate) struct Plan<'a> {
    snapshot: &'a Snapshot<&'a FjallStore>,
    conflicts: Conflicts,
    /// What ids below 0 stand for.
    placeholders: BTreeMap<(Kind, i64), ElementId>,
    standing: BTreeMap<ElementId, Standing>,
    pub(crate) writes: Vec<Write>,
    pub(crate) lines: Vec<Line>,
}

impl<'a> Plan<'a> {
    /// Looks up what edits are about.
    pub(crate) fn new(
        app: &App,
        snapshot: &'a Snapshot<&'a FjallStore>,
        conflicts: Conflicts,
        edits: &[Edit],
    ) -> Result<Self, ApiError> {
        let mut placeholders = BTreeMap::new();
        for edit in edits.iter().filter(|edit| edit.action == Action::Create) {
            let element = app.db.new_id(edit.kind)?;
            if placeholders.insert((edit.kind, edit.id), element).is_some() {
                return Err(ApiError::bad_request("Placeholder IDs must be unique for created elements."));
            }
        }
        let there = edits.iter().filter(|edit| edit.action != Action::Create);
        let there = there.filter_map(|edit| Some(ElementId::new(edit.kind, positive(edit.id)?)));
        let mut standing = BTreeMap::new();
        for heads in snapshot.heads_among(&there.collect()) {
            let heads = heads?;
            let Some(shown) = shown(&heads) else { continue };
            let (element, version) = (shown.entry.element, shown.version);
            let is_live = shown.entry.payload.is_some();
            let numbers = snapshot.numbers_of(&heads, UNKNOWN)?;
            let number = limited(numbers.get(&version).copied());
            standing.insert(element, Standing { heads, number, is_live, edited: None });
        }
        Ok(Self { snapshot, conflicts, placeholders, standing, writes: Vec::new(), lines: Vec::new() })
    }

    /// Adds an edit that is made in the changeset with this number.
    pub(crate) fn add(&mut self, edit: &Edit, changeset: u64) -> Result<(), ApiError> {
        if edit.changeset != changeset {
            let text =
                format!("Changeset mismatch: Provided {} but only {changeset} is allowed", edit.changeset);
            return Err(ApiError::new(StatusCode::CONFLICT, text));
        }
        let payload = self.payload(edit)?;
        let element = match (edit.action, positive(edit.id)) {
            (Action::Create, _) | (_, None) => {
                let placeholder = self.placeholders.get(&(edit.kind, edit.id)).copied();
                placeholder.ok_or_else(|| {
                    let (kind, id) = (edit.kind, edit.id);
                    ApiError::bad_request(format!("Placeholder {kind} not found for reference {id}"))
                })?
            }
            (_, Some(id)) => ElementId::new(edit.kind, id),
        };
        if edit.action == Action::Create {
            let write = self.push(Write::put(element, payload.ok_or_else(ApiError::not_found)?));
            let standing = Standing { heads: Vec::new(), number: 1, is_live: true, edited: Some(write) };
            self.standing.insert(element, standing);
            self.line(edit, element, (0, 1), Done::Written, Some(write));
            return Ok(());
        }
        let standing = self.standing.get(&element).cloned().ok_or_else(|| unknown(element))?;
        if let Action::Delete { if_unused } = edit.action
            && !standing.is_live
        {
            if !if_unused {
                return Err(deleted(element));
            }
            self.line(edit, element, (standing.number, standing.number), Done::Kept, None);
            return Ok(());
        }
        self.replace(edit, element, payload, standing)
    }

    /// Adds an edit of an element that is there.
    fn replace(
        &mut self,
        edit: &Edit,
        element: ElementId,
        payload: Option<Payload>,
        standing: Standing,
    ) -> Result<(), ApiError> {
        let (links, before) = self.replaced(edit, element, &standing)?;
        let in_use = match edit.action {
            Action::Delete { if_unused: true } => InUse::Keep,
            _ => InUse::Refuse,
        };
        let is_live = payload.is_some();
        let write = match payload {
            Some(payload) => Write::put(element, payload),
            None => Write::delete(element).if_in_use(in_use),
        };
        let (write, number) = match (links, standing.edited) {
            (Some(links), _) => (self.push(write.replacing(links)), before + 1),
            (None, Some(at)) if standing.heads.len() > 1 && self.conflicts != Conflicts::Resolve => {
                // The edit before has no version yet that could be replaced alone: both are one edit.
                if let Some(earlier) = self.writes.get_mut(at) {
                    (earlier.payload, earlier.in_use) = (write.payload, in_use);
                }
                (at, standing.number)
            }
            (None, _) => (self.push(write), before + 1),
        };
        let number = limited(Some(number));
        let done = if is_live { Done::Written } else { Done::Deleted };
        self.standing.insert(element, Standing { number, is_live, edited: Some(write), ..standing });
        self.line(edit, element, (before, number), done, Some(write));
        Ok(())
    }

    /// Returns which versions an edit replaces, and the greatest of their numbers. `None`: all that stand.
    fn replaced(
        &self,
        edit: &Edit,
        element: ElementId,
        standing: &Standing,
    ) -> Result<(Option<Vec<Version>>, u64), ApiError> {
        let provided = edit.version.unwrap_or_default();
        let mismatch = || {
            let (kind, id) = (title(element.kind), element.id);
            let text = format!(
                "Version mismatch: Provided {provided}, server had: {} of {kind} {id}",
                standing.number
            );
            ApiError::new(StatusCode::CONFLICT, text)
        };
        if standing.edited.is_some() {
            return if provided == standing.number { Ok((None, provided)) } else { Err(mismatch()) };
        }
        let of_heads = self.snapshot.numbers_of(&standing.heads, UNKNOWN)?;
        let number = |version: &Version| limited(of_heads.get(version).copied());
        if self.conflicts == Conflicts::Resolve {
            let greatest = standing.heads.iter().map(|head| number(&head.version)).max().unwrap_or(1);
            let is_known = provided == standing.number || provided == greatest;
            return if is_known { Ok((None, greatest)) } else { Err(mismatch()) };
        }
        let meant = match edit.hash {
            Some(hash) => standing.heads.iter().find(|head| head.version == hash),
            None => shown(&standing.heads).filter(|_| provided == standing.number),
        };
        if let Some(head) = meant.filter(|head| number(&head.version) == provided) {
            return Ok((Some(vec![head.version]), provided));
        }
        if self.conflicts == Conflicts::Refuse {
            return Err(mismatch());
        }
        let mut versions = standing.heads.clone();
        versions.extend(self.snapshot.replaced(element)?);
        let numbers = numbers(&versions, UNKNOWN);
        let fits = |head: &&Head| {
            limited(numbers.get(&head.version).copied()) == provided
                && edit.hash.is_none_or(|hash| head.version == hash)
        };
        let known = versions.iter().filter(fits).max_by_key(|head| (head.entry.timestamp(), head.version));
        known.map(|head| (Some(vec![head.version]), provided)).ok_or_else(mismatch)
    }

    fn push(&mut self, write: Write) -> usize {
        self.writes.push(write);
        self.writes.len() - 1
    }

    fn line(
        &mut self,
        edit: &Edit,
        element: ElementId,
        (before, number): (u64, u64),
        done: Done,
        write: Option<usize>,
    ) {
        self.lines.push(Line { element, old_id: edit.id, before, number, done, write });
    }

    /// Puts an element's content together, with ids in place of what stands for them.
    fn payload(&self, edit: &Edit) -> Result<Option<Payload>, ApiError> {
        let tags = edit.tags.clone();
        let target = |kind: Kind, id: i64| match positive(id) {
            Some(id) => Ok(id),
            None => self.placeholders.get(&(kind, id)).map(|element| element.id).ok_or_else(|| {
                let (of, own) = (edit.kind, edit.id);
                ApiError::bad_request(format!(
                    "Placeholder {kind} not found for reference {id} in {of} {own}"
                ))
            }),
        };
        Ok(match &edit.content {
            Content::Nothing => None,
            Content::Node(coord) => Some(Payload::Node { coord: *coord, tags }),
            Content::Way(refs) => {
                let refs = refs.iter().map(|id| target(Kind::Node, *id)).collect::<Result<_, _>>()?;
                Some(Payload::Way { refs, tags })
            }
            Content::Relation(members) => {
                let member = |(kind, id, role): &(Kind, i64, String)| {
                    let element = ElementId::new(*kind, target(*kind, *id)?);
                    Ok::<_, ApiError>(Member { element, role: role.clone() })
                };
                let members = members.iter().map(member).collect::<Result<_, _>>()?;
                Some(Payload::Relation { members, tags })
            }
        })
    }

    /// Says why the edits cannot be made together, as the reference server does.
    pub(crate) fn explain(&self, error: Error) -> Result<ApiError, ApiError> {
        Ok(match error {
            Error::Reference { element, target } => self.explain_reference(element, target)?,
            Error::InUse { element, by } => self.explain_use(element, by)?,
            Error::Limit { source, .. } => ApiError::bad_request(source.to_string()),
            Error::Invalid { source, .. } => ApiError::bad_request(source.to_string()),
            error => error.into(),
        })
    }

    fn explain_reference(&self, element: ElementId, target: ElementId) -> Result<ApiError, ApiError> {
        let id = self.known_id(element);
        if element.kind != Kind::Way {
            let (kind, target) = (title(target.kind), self.known_id(target));
            return Ok(precondition(&format!(
                "Relation with id {id} cannot be saved due to {kind} with id {target}"
            )));
        }
        // What the way named before may stay, there or not.
        let own = self.standing.get(&element).into_iter().flat_map(|standing| &standing.heads);
        let before: BTreeSet<ElementId> =
            own.filter_map(|head| head.entry.payload.as_ref()).flat_map(Payload::references).collect();
        let mut unsure: BTreeSet<ElementId> = BTreeSet::new();
        let mut missing: BTreeSet<i64> = BTreeSet::from([self.known_id(target)]);
        for target in self.last_payload(element).into_iter().flat_map(Payload::references) {
            match self.standing.get(&target) {
                _ if before.contains(&target) => {}
                Some(standing) if standing.is_live => {}
                Some(_) => drop(missing.replace(self.known_id(target))),
                None => drop(unsure.replace(target)),
            }
        }
        for heads in self.snapshot.heads_among(&unsure.clone()) {
            for head in heads?.iter().filter(|head| head.entry.payload.is_some()) {
                unsure.remove(&head.entry.element);
            }
        }
        missing.extend(unsure.into_iter().map(|target| self.known_id(target)));
        Ok(precondition(&format!(
            "Way {id} requires the nodes with id in ({}), which either do not exist, or are not visible.",
            joined(missing)
        )))
    }

    fn explain_use(&self, element: ElementId, by: ElementId) -> Result<ApiError, ApiError> {
        let mut users = BTreeSet::from([by]);
        for user in self.snapshot.refs(element)? {
            let names = |payload: &Payload| payload.references().any(|target| target == element);
            let is_one = match self.standing.get(&user) {
                Some(standing) if standing.edited.is_some() => self.last_payload(user).is_some_and(names),
                _ => true,
            };
            if is_one {
                users.insert(user);
            }
        }
        let ids =
            |kind| joined(users.iter().filter(|user| user.kind == kind).map(|user| self.known_id(*user)));
        let (ways, relations) = (ids(Kind::Way), ids(Kind::Relation));
        let id = self.known_id(element);
        Ok(precondition(&match (element.kind, ways.is_empty()) {
            (Kind::Relation, _) => {
                let first = relations.split(',').next().unwrap_or_default();
                format!("The relation {id} is used in relation {first}.")
            }
            (kind, false) => format!("{} {id} is still used by ways {ways}.", title(kind)),
            (kind, true) => format!("{} {id} is still used by relations {relations}.", title(kind)),
        }))
    }

    /// Returns what an element is after all edits.
    fn last_payload(&self, element: ElementId) -> Option<&Payload> {
        self.writes.iter().rev().find(|write| write.element == element)?.payload.as_ref()
    }

    /// Returns the id that the client knows an element by.
    fn known_id(&self, element: ElementId) -> i64 {
        let own = self.placeholders.iter().find(|(_, made)| **made == element).map(|((_, id), _)| *id);
        own.or_else(|| i64::try_from(element.id).ok()).unwrap_or_default()
    }
}

fn positive(id: i64) -> Option<u64> {
    u64::try_from(id).ok().filter(|id| *id > 0)
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Node => "Node",
        Kind::Way => "Way",
        Kind::Relation => "Relation",
        Kind::Changeset => "Changeset",
    }
}

fn joined(ids: impl IntoIterator<Item = i64>) -> String {
    ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

fn precondition(text: &str) -> ApiError {
    ApiError::new(StatusCode::PRECONDITION_FAILED, format!("Precondition failed: {text}"))
}
