//! A client of event streams, as a browser is one: it remembers the id that it heard last.

use std::collections::HashSet;

use reqwest::Response;
use serde_json::Value;

/// An open stream.
pub(crate) struct EventStream {
    response: Response,
    text: String,
    heard: HashSet<i64>,
    /// Where to go on.
    pub(crate) last_id: String,
}

/// What came in one block. A block without data only moves the id on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

impl EventStream {
    pub(super) fn new(response: Response) -> Self {
        Self {
            response,
            text: String::new(),
            heard: HashSet::new(),
            last_id: String::new(),
        }
    }

    /// The header with this name.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.response.headers().get(name);
        value.map(|it| it.to_str().unwrap()).unwrap_or_default()
    }

    /// The next block; `None` when the stream has ended or broken.
    pub(crate) async fn block(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(self.read(&block));
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event that has data.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if !block.name.is_empty() {
                return Some(block);
            }
        }
    }

    /// Where a stream that is opened now goes on.
    pub(crate) async fn first_id(mut self) -> String {
        self.block()
            .await
            .expect("the stream begins with its place");
        self.last_id
    }

    /// The next event that was not heard before: a stream may repeat itself.
    pub(crate) async fn fresh(&mut self) -> Option<Event> {
        loop {
            let event = self.next().await?;
            let number = serde_json::from_str::<Value>(&event.data)
                .ok()
                .and_then(|data| data["id"].as_i64());
            if number.is_none_or(|number| self.heard.insert(number)) {
                return Some(event);
            }
        }
    }

    /// The next fresh event, which must have this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Event {
        let event = self.fresh().await.expect("the stream goes on");
        assert_eq!(event.name, name, "{}", event.data);
        event
    }

    /// The data of the next `put` with this text, after any others.
    pub(crate) async fn put_with(&mut self, text: &str) -> String {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == "put" && event.data.contains(text) {
                return event.data;
            }
        }
    }

    fn read(&mut self, block: &str) -> Event {
        let (mut name, mut data) = (String::new(), Vec::new());
        for line in block.lines() {
            let (field, value) = line.split_once(": ").unwrap_or((line, ""));
            match field {
                "event" => value.clone_into(&mut name),
                "data" => data.push(value),
                "id" => value.clone_into(&mut self.last_id),
                _ => {}
            }
        }
        Event {
            name,
            data: data.join("\n"),
        }
    }
}

impl Event {
    /// The data as a document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}
