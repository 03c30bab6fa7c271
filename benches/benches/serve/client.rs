//! One editor: a connection that is kept, and what is said over it.

use std::time::Duration;

use ureq::Agent;

use crate::Failure;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(PATIENCE)).build();
        Self { agent: Agent::new_with_config(config), url: url.to_owned() }
    }

    pub fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut answer = self.agent.get(format!("{}{path}", self.url)).call()?;
        Ok(answer.body_mut().with_config().limit(1 << 30).read_to_vec()?)
    }

    pub fn put(&self, path: &str, body: &str) -> Result<String, Failure> {
        let mut answer =
            self.agent.put(format!("{}{path}", self.url)).header("content-type", "text/xml").send(body)?;
        Ok(answer.body_mut().read_to_string()?)
    }

    pub fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        let mut answer =
            self.agent.post(format!("{}{path}", self.url)).header("content-type", "text/xml").send(body)?;
        Ok(answer.body_mut().read_to_string()?)
    }
}
