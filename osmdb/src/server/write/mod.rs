//! Documents on their way out: in either form, in pieces, so that none is in memory whole.

mod changeset;
mod json;
mod result;
mod text;
mod xml;

use std::borrow::Cow;

use super::about::GENERATOR;
use super::app::App;
use super::ask::Form;
use super::error::ApiError;
use super::send::Outlet;
use super::view::View;
use crate::model::BBox;

pub(crate) use changeset::{Summary, changesets_document};
pub(crate) use json::{escaped as json_text, id as json_id};
pub(crate) use result::diff_result;
pub(crate) use text::Text;
pub(crate) use xml::Tag;

/// Which namespace the attributes of our own are in.
pub(crate) const NAMESPACE: &str = "https://github.com/osmdb/osmdb";

/// A list of elements that is being written.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    app: &'a App,
    form: Form,
    out: &'a mut Outlet,
    /// Whether anything is in the list yet.
    begun: bool,
}

impl<'a> Elements<'a> {
    /// Begins the document; a map has bounds.
    pub(crate) fn begin(app: &'a App, form: Form, out: &'a mut Outlet, bounds: Option<BBox>) -> Self {
        match form {
            Form::Xml => xml::begin(out.text(), bounds),
            Form::Json => json::begin(out.text(), bounds),
        }
        Self { app, form, out, begun: false }
    }

    /// Writes a version of an element.
    pub(crate) fn put(&mut self, view: &View) -> Result<(), ApiError> {
        let names = Names::of(self.app, view);
        match self.form {
            Form::Xml => xml::element(self.out.text(), view, &names, "  "),
            Form::Json => {
                self.out.text().push_str(if self.begun { ",\n" } else { "\n" });
                json::element(self.out.text(), view, &names);
            }
        }
        self.begun = true;
        self.out.go_on(self.app)
    }

    /// Ends the document.
    pub(crate) fn end(self) {
        match self.form {
            Form::Xml => self.out.text().push_str("</osm>\n"),
            Form::Json => self.out.text().push_str("\n]}\n"),
        }
    }
}

/// Writes a version as it stands in a section of a change file.
pub(crate) fn change(app: &App, out: &mut String, view: &View) {
    xml::element(out, view, &Names::of(app, view), "    ");
}

/// Begins a document of XML with a root that is `osm`, or another.
pub(crate) fn begin_xml(out: &mut String, root: &str) {
    out.extend([
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<",
        root,
        " version=\"0.6\" generator=\"",
        GENERATOR,
        "\" xmlns:osmdb=\"",
        NAMESPACE,
        "\">\n",
    ]);
}

/// What clients know a version's changeset and user by.
#[derive(Debug, Default)]
struct Names<'a> {
    changeset: Option<u64>,
    uid: Option<u64>,
    user: Option<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    fn of(app: &App, view: &'a View) -> Self {
        let entry = &view.entry;
        let changeset = entry.changeset().map(|id| app.local.changeset_number(id));
        if let Some(author) = entry.author() {
            let (uid, user) = (app.local.user_number(author), app.local.user_name(author));
            return Self { changeset, uid: Some(uid), user: Some(user.into()) };
        }
        match &entry.origin {
            crate::entry::Origin::Imported(meta) => {
                Self { changeset, uid: meta.uid, user: meta.user.as_deref().map(Cow::from) }
            }
            crate::entry::Origin::Edited(_) => Self { changeset, ..Self::default() },
        }
    }
}
