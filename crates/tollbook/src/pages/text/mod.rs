//! Every word a person reads on a page: message files, one per language, with plurals.
//!
//! A template says `{{ page.say("live-title") }}` or, with values,
//! `{{ t.say("card-invoices").number("count", n) }}`. The tests read all templates and sources and fail when
//! a key or a value is missing from `messages/en.ftl`, or a message is used nowhere.

use std::fmt;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::types::FluentNumber;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_langneg::{NegotiationStrategy, negotiate_languages, parse_accepted_languages};
use unic_langid::LanguageIdentifier;

const SOURCES: [(&str, &str); 1] = [("en", include_str!("../../../messages/en.ftl"))];

static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| {
    SOURCES
        .iter()
        .filter_map(|(tag, source)| Language::load(tag, source))
        .collect()
});

/// What is shown should no language load; the tests prove that each does.
static EMPTY: LazyLock<Language> = LazyLock::new(|| Language {
    id: LanguageIdentifier::default(),
    tag: "en".to_owned(),
    bundle: FluentBundle::new_concurrent(Vec::new()),
    decimal_mark: ".".to_owned(),
    group_mark: ",".to_owned(),
});

struct Language {
    id: LanguageIdentifier,
    tag: String,
    bundle: FluentBundle<FluentResource>,
    decimal_mark: String,
    group_mark: String,
}

impl Language {
    fn load(tag: &str, source: &str) -> Option<Self> {
        let id: LanguageIdentifier = tag.parse().ok()?;
        let mut bundle = FluentBundle::new_concurrent(vec![id.clone()]);
        // Isolation marks would be copied with a number or a name; values carry `dir="auto"` in the markup instead.
        bundle.set_use_isolating(false);
        let resource =
            FluentResource::try_new(source.to_owned()).unwrap_or_else(|(partial, _)| partial);
        bundle.add_resource_overriding(resource);
        let mut language = Self {
            id,
            tag: tag.to_owned(),
            bundle,
            decimal_mark: String::new(),
            group_mark: String::new(),
        };
        language.decimal_mark = language.plain("number-decimal-mark");
        language.group_mark = language.plain("number-group-mark");
        Some(language)
    }

    fn plain(&self, key: &str) -> String {
        let pattern = self
            .bundle
            .get_message(key)
            .and_then(|message| message.value());
        pattern
            .map(|it| {
                self.bundle
                    .format_pattern(it, None, &mut Vec::new())
                    .into_owned()
            })
            .unwrap_or_default()
    }
}

/// The viewer's language. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Text(&'static Language);

impl Text {
    /// The best available language for an `Accept-Language` header; English when it is empty or names none of ours.
    pub(crate) fn negotiate(accept_language: &str) -> Self {
        let wanted = parse_accepted_languages(accept_language);
        let available: Vec<&LanguageIdentifier> = LANGUAGES.iter().map(|it| &it.id).collect();
        let best = negotiate_languages(&wanted, &available, None, NegotiationStrategy::Lookup);
        let found = best
            .first()
            .and_then(|best| LANGUAGES.iter().find(|it| &it.id == **best));
        found.map_or_else(Self::default, Self)
    }

    /// The message `key`, to be completed by [`Message::with`] or [`Message::number`] and displayed.
    pub(crate) fn say(self, key: &'static str) -> Message {
        Message {
            text: self,
            key,
            values: FluentArgs::new(),
        }
    }

    /// The language tag for `<html lang>`.
    pub(crate) fn tag(self) -> &'static str {
        &self.0.tag
    }

    /// Between whole and fraction of a number.
    pub(crate) fn decimal_mark(self) -> &'static str {
        &self.0.decimal_mark
    }

    /// Between thousands.
    pub(crate) fn group_mark(self) -> &'static str {
        &self.0.group_mark
    }
}

/// Lets a function take the texts by value or through any number of references, as templates pass them.
impl AsRef<Text> for Text {
    fn as_ref(&self) -> &Text {
        self
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(LANGUAGES.first().unwrap_or(&EMPTY))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({})", self.0.tag)
    }
}

/// A message with its values; its `Display` is the finished sentence. A key that does not exist shows itself.
pub(crate) struct Message {
    text: Text,
    key: &'static str,
    values: FluentArgs<'static>,
}

impl Message {
    /// Gives the message a finished text to insert.
    pub(crate) fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.set(name, FluentValue::from(value.to_string()));
        self
    }

    /// Gives the message an integer, which also chooses the plural.
    pub(crate) fn number(mut self, name: &'static str, value: impl Into<FluentNumber>) -> Self {
        self.values.set(name, FluentValue::Number(value.into()));
        self
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bundle = &self.text.0.bundle;
        match bundle
            .get_message(self.key)
            .and_then(|message| message.value())
        {
            Some(pattern) => bundle.write_pattern(f, pattern, Some(&self.values), &mut Vec::new()),
            None => f.write_str(self.key),
        }
    }
}

#[cfg(test)]
mod tests;
