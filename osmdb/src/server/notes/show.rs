//! Notes as documents: XML, or GeoJSON.

use axum::body::Body;
use axum::http::Response;

use super::{Comment, Note};
use crate::server::answer;
use crate::server::app::App;
use crate::server::ask::Form;
use crate::server::write::{Tag, Text, begin_xml, json_text};
use crate::timestamp::show_timestamp;

/// Who comments: the author of this database.
struct Who {
    uid: u64,
    user: String,
}

impl Who {
    fn of(app: &App) -> Self {
        let author = app.author;
        Self { uid: app.local.user_number(author), user: app.local.user_name(author) }
    }
}

/// Answers with one note.
pub(super) fn one(app: &App, form: Form, host: &str, note: &Note) -> Response<Body> {
    match form {
        Form::Xml => document(app, form, host, std::slice::from_ref(note)),
        Form::Json => {
            let mut out = String::new();
            json(&mut out, host, note, &Who::of(app));
            answer::document(form, out)
        }
    }
}

/// Answers with a list.
pub(super) fn document(app: &App, form: Form, host: &str, notes: &[Note]) -> Response<Body> {
    let who = Who::of(app);
    let mut out = String::new();
    match form {
        Form::Xml => {
            begin_xml(&mut out, "osm");
            notes.iter().for_each(|note| xml(&mut out, host, note, &who));
            out.push_str("</osm>\n");
        }
        Form::Json => {
            out.push_str("{\"type\":\"FeatureCollection\",\"features\":[");
            for (at, note) in notes.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "\n" });
                json(&mut out, host, note, &who);
            }
            out.push_str("\n]}\n");
        }
    }
    answer::document(form, out)
}

fn date(at: i64) -> String {
    show_timestamp(at).unwrap_or_default().replace('T', " ").replace('Z', " UTC")
}

/// Returns where a note is, and where it is changed.
fn places(host: &str, note: &Note) -> Vec<(&'static str, String)> {
    let own = format!("http://{host}/api/0.6/notes/{}", note.number);
    let mut places = vec![("url", own.clone())];
    if note.closed().is_some() {
        places.push(("reopen_url", format!("{own}/reopen")));
    } else {
        places.push(("comment_url", format!("{own}/comment")));
        places.push(("close_url", format!("{own}/close")));
    }
    places
}

fn html(comment: &Comment) -> String {
    format!("<p>{}</p>", quick_xml::escape::escape(comment.text.as_str()))
}

fn put(out: &mut String, indent: &str, name: &str, text: &str) {
    // An attribute's escapes are good for text too, and characters that XML has not are seen to.
    let mut tag = String::new();
    let mut attribute = Tag::begin(&mut tag, "", "");
    attribute.text("", text);
    let inner = tag.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"')).unwrap_or_default();
    out.extend([indent, "<", name, ">", inner, "</", name, ">\n"]);
}

fn xml(out: &mut String, host: &str, note: &Note, who: &Who) {
    let mut tag = Tag::begin(out, "  ", "note");
    tag.degrees("lon", note.coord.lon());
    tag.degrees("lat", note.coord.lat());
    tag.end(">\n");
    put(out, "    ", "id", &note.number.to_string());
    places(host, note).iter().for_each(|(name, place)| put(out, "    ", name, place));
    put(out, "    ", "date_created", &date(note.created()));
    put(out, "    ", "status", if note.closed().is_some() { "closed" } else { "open" });
    note.closed().into_iter().for_each(|at| put(out, "    ", "date_closed", &date(at)));
    out.push_str("    <comments>\n");
    for comment in &note.comments {
        out.push_str("      <comment>\n");
        put(out, "        ", "date", &date(comment.at));
        put(out, "        ", "uid", &who.uid.to_string());
        put(out, "        ", "user", &who.user);
        put(out, "        ", "action", comment.action.name());
        put(out, "        ", "text", &comment.text);
        put(out, "        ", "html", &html(comment));
        out.push_str("      </comment>\n");
    }
    out.push_str("    </comments>\n  </note>\n");
}

fn json(out: &mut String, host: &str, note: &Note, who: &Who) {
    out.push_str("{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[");
    out.push_degrees(note.coord.lon());
    out.push(',');
    out.push_degrees(note.coord.lat());
    out.push_str("]},\"properties\":{\"id\":");
    out.push_number(note.number);
    let mut text = |name: &str, value: &str| {
        out.extend([",\"", name, "\":"]);
        json_text(out, value);
    };
    places(host, note).iter().for_each(|(name, place)| text(name, place));
    text("date_created", &date(note.created()));
    text("status", if note.closed().is_some() { "closed" } else { "open" });
    note.closed().into_iter().for_each(|at| text("closed_at", &date(at)));
    out.push_str(",\"comments\":[");
    for (at, comment) in note.comments.iter().enumerate() {
        out.push_str(if at > 0 { ",{\"date\":" } else { "{\"date\":" });
        json_text(out, &date(comment.at));
        out.push_str(",\"uid\":");
        out.push_number(who.uid);
        for (name, value) in [("user", &who.user), ("text", &comment.text), ("html", &html(comment))] {
            out.extend([",\"", name, "\":"]);
            json_text(out, value);
        }
        out.extend([",\"action\":\"", comment.action.name(), "\"}"]);
    }
    out.push_str("]}}");
}
