//! What an upload has made, as documents.

use super::{Tag, Text, begin_xml, json_id};
use crate::server::about::GENERATOR;
use crate::server::ask::Form;
use crate::server::plan::{Done, Line};

/// Writes the answer to an upload: a line for each edit, in their order.
pub(crate) fn diff_result(form: Form, lines: &[Line]) -> String {
    let mut out = String::new();
    match form {
        Form::Xml => {
            begin_xml(&mut out, "diffResult");
            for line in lines {
                let mut tag = Tag::begin(&mut out, "  ", line.element.kind.name());
                tag.plain("old_id", &line.old_id.to_string());
                if line.done != Done::Deleted {
                    tag.number("new_id", line.element.id);
                    tag.number("new_version", line.number);
                }
                tag.end("/>\n");
            }
            out.push_str("</diffResult>\n");
        }
        Form::Json => {
            out.extend(["{\"version\":\"0.6\",\"generator\":\"", GENERATOR, "\",\"diffResult\":["]);
            for (at, line) in lines.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "\n" });
                out.extend(["{\"type\":\"", line.element.kind.name(), "\",\"old_id\":"]);
                match u64::try_from(line.old_id) {
                    Ok(id) => json_id(&mut out, id),
                    Err(_) => out.push_str(&line.old_id.to_string()),
                }
                if line.done != Done::Deleted {
                    out.push_str(",\"new_id\":");
                    json_id(&mut out, line.element.id);
                    out.push_str(",\"new_version\":");
                    out.push_number(line.number);
                }
                out.push('}');
            }
            out.push_str("\n]}\n");
        }
    }
    out
}
