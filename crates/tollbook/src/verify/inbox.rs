//! Stored webhooks against what they say: each is interpreted, or it is still in the queue.

use std::collections::HashSet;

use jiff_sqlx::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Fact, ProcessingState, Provider};
use uuid::Uuid;

use super::chunks::{Chunk, last};
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::db::types::Text;
use crate::error::Result;

/// Webhooks of one chunk.
pub(super) const CHUNK: i64 = 1_000;

/// A webhook that is not in the queue.
struct Webhook {
    received_at: Timestamp,
    id: Uuid,
    organization_id: Option<Uuid>,
    integration_id: Uuid,
    provider: Text<Provider>,
    body: Vec<u8>,
    is_queued: bool,
    is_keyed: bool,
}

/// What a webhook must have left: a record of this kind with the provider's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Trace {
    kind: &'static str,
    integration: Uuid,
    sid: String,
    /// The record that it is a part of: the same recording may be known by its place in that record instead.
    of: Option<String>,
}

/// Interprets stored webhooks again, as far as to see whether what they tell of is there.
pub(super) async fn chunk(
    app: &App,
    after: Option<(Timestamp, Uuid)>,
) -> Result<Chunk<(Timestamp, Uuid)>> {
    let mut tx = snapshot(app).await?;
    let (at, id) = after.unzip();
    let webhooks = sqlx::query_as!(
        Webhook,
        r#"select i.received_at, i.id, i.organization_id, i.integration_id, i.provider as "provider: Text<Provider>", i.body,
             exists (select from inbox_queue q where q.inbox_id = i.id) as "is_queued!",
             exists (select from inbox_keys k where k.integration_id = i.integration_id and k.event_key = i.event_key
                 and k.inbox_id = i.id and k.body_hash = sha256(i.body)) as "is_keyed!"
         from inbox i
         where (i.received_at, i.id) > (coalesce($1, '-infinity'::timestamptz), coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid))
         -- all organizations: the inbox is the platform's
         order by i.received_at, i.id limit $3"#,
        at as Option<Timestamp>,
        id,
        CHUNK,
    )
    .fetch_all(&mut *tx)
    .await?;
    let next = last(&webhooks, CHUNK, |it| (it.received_at, it.id));
    let left: Vec<(&Webhook, Vec<Trace>)> = webhooks
        .iter()
        .filter(|it| !it.is_queued)
        .map(|it| (it, it.traces()))
        .collect();
    let wanted: HashSet<&Trace> = left.iter().flat_map(|(_, traces)| traces).collect();
    let known = known(&mut tx, &wanted.into_iter().collect::<Vec<_>>()).await?;
    let mut differences = Vec::new();
    for webhook in &webhooks {
        if !webhook.is_keyed {
            differences.push(webhook.note(
                "inbox_keys",
                "key and body_hash",
                "those of the webhook",
                "none",
            ));
        }
    }
    for (webhook, traces) in left {
        for trace in traces.iter().filter(|trace| !known.contains(*trace)) {
            let Trace { kind, sid, .. } = trace;
            differences.push(webhook.note(
                "inbox",
                "meaning",
                &format!("{kind} `{sid}`, or a place in inbox_queue"),
                "none",
            ));
        }
    }
    Ok((next, differences))
}

impl Webhook {
    fn traces(&self) -> Vec<Trace> {
        let came_at = self.received_at.to_jiff();
        let Ok(events) = crate::inbox::parse(self.provider.0, &self.body, came_at) else {
            // What cannot be read waits for a person, in the queue.
            return vec![self.trace("readable body", self.id.to_string())];
        };
        events
            .into_iter()
            .filter_map(|event| match event.fact {
                Fact::Call(fact) => Some(self.trace("call_legs", fact.sid)),
                Fact::Message(fact) => Some(self.trace("messages", fact.sid)),
                Fact::Voicemail(fact) => Some(self.trace("voicemails", fact.sid)),
                Fact::Recording(fact) if fact.state == ProcessingState::Completed => Some(Trace {
                    of: Some(fact.call_sid),
                    ..self.trace("recordings", fact.sid)
                }),
                Fact::Recording(_)
                | Fact::Transcript(_)
                | Fact::Summary(_)
                | Fact::Ignored { .. } => None,
            })
            .collect()
    }

    fn trace(&self, kind: &'static str, sid: String) -> Trace {
        Trace {
            kind,
            integration: self.integration_id,
            sid,
            of: None,
        }
    }

    fn note(&self, table: &str, what: &str, expected: &str, found: &str) -> Difference {
        Difference {
            organization: self.organization_id.map(Into::into),
            table: table.to_owned(),
            key: self.id.to_string(),
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}

/// Which of these there are.
async fn known(tx: &mut PgConnection, wanted: &[&Trace]) -> Result<HashSet<Trace>> {
    let kinds: Vec<&str> = wanted.iter().map(|it| it.kind).collect();
    let integrations: Vec<Uuid> = wanted.iter().map(|it| it.integration).collect();
    let sids: Vec<&str> = wanted.iter().map(|it| it.sid.as_str()).collect();
    let of: Vec<Option<&str>> = wanted.iter().map(|it| it.of.as_deref()).collect();
    let rows = sqlx::query_scalar!(
        r#"with k as (
             select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) with ordinality as k (kind, integration_id, sid, of_sid, n)
         )
         select k.n as "n!"
         from k
         join integrations i on i.id = k.integration_id
         where case k.kind
             when 'call_legs' then exists (select from call_legs l where l.integration_id = i.id and l.sid = k.sid)
             -- Nearly always the account's own organization has it; a number may have been mapped to any other.
             when 'messages' then
                 exists (select from messages m where m.organization_id = i.organization_id and m.integration_id = i.id and m.sid = k.sid)
                 or exists (select from organizations o join messages m on m.organization_id = o.id and m.integration_id = i.id and m.sid = k.sid)
             when 'voicemails' then
                 exists (select from voicemails v where v.organization_id = i.organization_id and v.provider = i.provider and v.sid = k.sid)
                 or exists (select from organizations o join voicemails v on v.organization_id = o.id and v.provider = i.provider and v.sid = k.sid)
             when 'recordings' then
                 exists (select from recordings r where r.organization_id = i.organization_id and r.provider = i.provider and r.sid = k.sid)
                 or exists (select from organizations o join recordings r on r.organization_id = o.id and r.provider = i.provider and r.sid = k.sid)
                 -- Known by its place, or told by its place and known by its id.
                 or exists (select from call_legs l join recordings r on r.organization_id = l.organization_id and r.leg_id = l.id
                     where l.integration_id = i.id and l.sid = k.of_sid
                         and (starts_with(k.sid, k.of_sid || '/') or starts_with(r.sid, k.of_sid || '/')))
         end"#,
        &kinds as &[&str],
        &integrations,
        &sids as &[&str],
        &of as &[Option<&str>],
    )
    .fetch_all(tx)
    .await?;
    let known = rows
        .into_iter()
        .filter_map(|n| wanted.get(usize::try_from(n).ok()?.checked_sub(1)?));
    Ok(known.map(|trace| (*trace).clone()).collect())
}
