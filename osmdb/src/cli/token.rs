//! `token`: who may use a server that is open to more than this machine.

use clap::Subcommand;
use osmdb::server::Tokens;
use serde_json::json;

use super::database::{self, Directory};
use super::failure::Failure;
use super::json as as_json;
use super::output::{Out, note, plain};

/// What becomes of tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token for somebody, and print it: it is shown this once
    #[command(after_help = "Example:\n  osmdb token add Amina")]
    Add {
        /// Whom it is for
        name: String,
    },
    /// Print for whom there are tokens, one name on a line
    #[command(after_help = "Example:\n  osmdb token list --json")]
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Take a token back
    #[command(after_help = "Example:\n  osmdb token remove Amina")]
    Remove {
        /// Whom it was for
        name: String,
    },
}

pub(super) fn token(dir: &Directory, verb: &TokenVerb) -> Result<(), Failure> {
    database::look(dir)?;
    match verb {
        TokenVerb::Add { name } => {
            let token = Tokens::update(&dir.path, |tokens| tokens.add(name))??;
            let mut out = Out::new();
            out.line(&token)?;
            out.finish()?;
            note("in JOSM and scripts it is the password, with any user name; iD asks for it");
            Ok(())
        }
        TokenVerb::List { json } => {
            let tokens = Tokens::read(&dir.path)?;
            let mut out = Out::new();
            for (name, made) in tokens.names() {
                if *json {
                    out.line(json!({"name": name, "made": as_json::time(made)}))?;
                } else {
                    out.line(plain(name))?;
                }
            }
            out.finish()
        }
        TokenVerb::Remove { name } => {
            let found = Tokens::update(&dir.path, |tokens| tokens.remove(name))?;
            if found { Ok(()) } else { Err(Failure::NoToken(name.clone())) }
        }
    }
}
