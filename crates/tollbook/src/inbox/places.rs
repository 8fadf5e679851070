//! Which organization each call record and each number of a batch belongs to.

use std::collections::{BTreeSet, HashMap};

use sqlx::PgConnection;
use tollbook_core::calls::{Fact, ProviderEvent};
use tollbook_core::ids::{IntegrationId, OrganizationId};

use super::interpret::Said;
use crate::calls::{self, CallOfRecord, Source};
use crate::error::Result;
use crate::numbers::{self, LineKey};

/// What is known of the places that a batch names.
pub(super) struct Places {
    /// By call record: known calls.
    pub(super) calls: CallOfRecord,
    /// By call record: those that this batch makes known.
    coming: HashMap<(IntegrationId, String), OrganizationId>,
    /// For each webhook and each of its events: who holds the number that it is about.
    pub(super) lines: Vec<Vec<Option<OrganizationId>>>,
}

impl Places {
    pub(super) async fn find(tx: &mut PgConnection, said: &[Said<'_>]) -> Result<Self> {
        let lines = lines(tx, said).await?;
        let keys: BTreeSet<(IntegrationId, &str)> = events(said)
            .flat_map(|(source, event)| {
                let named = [event.call_sid(), parent_sid(event)].into_iter().flatten();
                named.map(move |sid| (source.integration, sid))
            })
            .collect();
        let keys: Vec<(IntegrationId, &str)> = keys.into_iter().collect();
        let calls = calls::calls_of_records(tx, &keys).await?;
        let mut places = Self {
            calls,
            coming: HashMap::new(),
            lines,
        };
        places.add_coming(said);
        Ok(places)
    }

    fn add_coming(&mut self, said: &[Said<'_>]) {
        let held = self.lines.iter().flatten();
        for ((source, event), organization) in events(said).zip(held) {
            if let (Some(sid), Some(organization)) = (event.call_sid(), organization)
                && matches!(event.fact, Fact::Call(_))
            {
                let key = (source.integration, sid.to_owned());
                self.coming.entry(key).or_insert(*organization);
            }
        }
        // A leg without a number of its own is where its parent is.
        for (source, event) in events(said) {
            if let (Some(sid), Some(parent)) = (event.call_sid(), parent_sid(event))
                && let Some(organization) = self.of_call(source.integration, parent)
            {
                let key = (source.integration, sid.to_owned());
                self.coming.entry(key).or_insert(organization);
            }
        }
    }

    /// A record stays with the organization that it was first known in, whatever becomes of the number.
    pub(super) fn of_call(&self, integration: IntegrationId, sid: &str) -> Option<OrganizationId> {
        let key = (integration, sid.to_owned());
        let known = self.calls.get(&key).map(|leg| leg.organization);
        known.or_else(|| self.coming.get(&key).copied())
    }
}

/// The record that a leg belongs under, where the provider names it.
fn parent_sid(event: &ProviderEvent) -> Option<&str> {
    match &event.fact {
        Fact::Call(fact) => fact.parent_sid.as_deref(),
        _ => None,
    }
}

/// Every event of a batch, with its account.
fn events<'a>(said: &'a [Said<'_>]) -> impl Iterator<Item = (Source, &'a ProviderEvent)> {
    said.iter()
        .flat_map(|said| said.events.iter().map(move |event| (said.source, event)))
}

async fn lines(
    tx: &mut PgConnection,
    said: &[Said<'_>],
) -> Result<Vec<Vec<Option<OrganizationId>>>> {
    let keys: Vec<LineKey> = events(said)
        .filter_map(|(source, event)| line_key(source, event))
        .collect();
    let mut found = numbers::resolve_lines(tx, &keys).await?.into_iter();
    let mut of_event = |said: &Said<'_>, event: &ProviderEvent| {
        line_key(said.source, event)?;
        let holder = found.next()?.map(|line| line.organization)?;
        // An organization signs what its account says; of another's numbers it has nothing to say.
        let of_account = said.queued.organization;
        of_account.is_none_or(|it| it == holder).then_some(holder)
    };
    let lines = said.iter().map(|said| {
        let events = said.events.iter();
        events.map(|event| of_event(said, event)).collect()
    });
    Ok(lines.collect())
}

/// How an event names the number that it is about.
pub(super) fn line_key(source: Source, event: &ProviderEvent) -> Option<LineKey> {
    let e164 = match &event.fact {
        Fact::Call(fact) => fact.our_number.clone(),
        Fact::Message(fact) => fact.our_number.clone(),
        Fact::Voicemail(_)
        | Fact::Recording(_)
        | Fact::Transcript(_)
        | Fact::Summary(_)
        | Fact::Ignored { .. } => None,
    };
    let sid = event.number_sid().map(str::to_owned);
    (sid.is_some() || e164.is_some()).then_some(LineKey {
        provider: source.provider,
        sid,
        e164,
        at: event.occurred_at,
    })
}
