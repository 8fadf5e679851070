//! The page of one call, made from what is known of it.

use jiff::SignedDuration;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Phase;
use tollbook_core::ids::{CallId, OrganizationId};

use super::course::Course;
use super::detail::{
    self, CostFacts, Happening, LegFacts, PartFacts, RawWebhook, Said, TranscriptFacts,
};
use super::elements::{self, Look};
use super::moment::{Moment, moments};
use super::view::Outcome;
use super::view::call::{
    CallPage, ChargeView, Corrections, Fact, Leg, Recording, TimelineEntry, Transcript,
    TranscriptLine, Webhook,
};
use super::view::explain::{Part, explain};
use crate::app::App;
use crate::corrections;
use crate::customers;
use crate::error::{Error, Result};
use crate::pages::number::Amount;
use crate::pages::{Page, Party, duration};

/// A transcript that has not come by then will not come.
const TRANSCRIPT_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// Reads the page of a call as `actor`, who is that of `tx`. Fails with 404 if the call is not theirs to see.
pub(crate) async fn call_page(
    tx: &mut PgConnection,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    call: CallId,
    page: Page,
) -> Result<CallPage> {
    let mut moments = moments(tx, app, actor, organization, &[call.uuid()]).await?;
    let moment = moments.calls.remove(&call).ok_or(Error::NotFound("call"))?;
    let look = Look {
        viewer: page.viewer.clone(),
        country: moments.country,
        csrf: page.csrf.clone(),
    };
    let course = Course::read(tx, actor, organization, &moment).await?;
    let recordings = detail::recordings(tx, organization, call).await?;
    let transcript = detail::transcript(tx, organization, call).await?;
    let customer = moment.call.customer.as_ref().map(|(id, _)| *id);
    let ids: Vec<_> = customer.into_iter().collect();
    let mut summaries = customers::summaries(tx, organization, &ids, look.viewer.now).await?;
    let summary = customer.and_then(|id| summaries.remove(&id));
    let corrections = corrections_of(tx, actor, organization, call).await?;
    let facts = &moment.call;
    Ok(CallPage {
        corrections,
        direction: elements::direction(facts.direction),
        outcome: elements::outcome(facts),
        with: elements::party(&look, facts),
        line: look.phone(facts.line()),
        line_label: facts.line_label.clone(),
        agent: elements::agent(facts),
        started: look.viewer.stamp(facts.started_at),
        length: elements::length(facts.billable_seconds),
        price: elements::price_of(&look, &moment),
        plan: summary
            .as_ref()
            .and_then(|it| Some(it.subscription.as_ref()?.plan.clone())),
        hours: summary
            .and_then(|it| it.hours)
            .map(|hours| elements::hours_left(&look, hours)),
        timeline: course
            .happenings
            .iter()
            .map(|it| entry(&look, &moment, it))
            .collect(),
        legs: course
            .legs
            .iter()
            .map(|leg| leg_view(&look, &moment, leg))
            .collect(),
        recordings: recordings
            .iter()
            .map(|it| Recording {
                src: format!("/api/recordings/{}/media", it.id),
                media_type: it.content_type.clone().unwrap_or_default(),
                length: it
                    .duration_seconds
                    .map(elements::length)
                    .unwrap_or_default(),
            })
            .collect(),
        transcript: transcript_view(&look, &moment, transcript, !recordings.is_empty()),
        margin: margin(&look, &moment, course.cost),
        charges: charges(&look, &course.parts),
        webhooks: course
            .webhooks
            .map(|all| all.iter().map(|it| webhook(&look, it)).collect()),
        page,
    })
}

/// What may be put right of a call, and what was; nothing for who does not run the organization.
async fn corrections_of(
    tx: &mut PgConnection,
    actor: &Actor,
    organization: OrganizationId,
    call: CallId,
) -> Result<Option<Corrections>> {
    if !actor.administers(organization) {
        return Ok(None);
    }
    Ok(Some(Corrections {
        href: format!("/calls/{call}"),
        waived: corrections::why_waived(tx, organization, call).await?,
    }))
}

/// Who is on the other side of a call that `actor` may see, for pages about it. Fails with 404 if it is not theirs to see.
pub(crate) async fn call_party(
    tx: &mut PgConnection,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    call: CallId,
    page: &Page,
) -> Result<Party> {
    let mut moments = moments(tx, app, actor, organization, &[call.uuid()]).await?;
    let moment = moments.calls.remove(&call).ok_or(Error::NotFound("call"))?;
    let look = Look {
        viewer: page.viewer.clone(),
        country: moments.country,
        csrf: String::new(),
    };
    Ok(elements::party(&look, &moment.call))
}

fn entry(look: &Look, moment: &Moment, happening: &Happening) -> TimelineEntry {
    let text = look.viewer.text;
    let (label, outcome) = match happening.kind.as_str() {
        "queued" => (text.say("timeline-queued"), Outcome::Ringing),
        "ringing" => (text.say("timeline-ringing"), Outcome::Ringing),
        "answered" => (
            match elements::agent(&moment.call) {
                Some(who) => text.say("timeline-answered-by").with("who", who),
                None => text.say("timeline-answered"),
            },
            Outcome::InProgress,
        ),
        "ended" => (text.say("timeline-ended"), elements::outcome(&moment.call)),
        "voicemail" => (text.say("timeline-voicemail"), Outcome::Voicemail),
        "recording" => (text.say("timeline-recording"), Outcome::Completed),
        "transcript" => (text.say("timeline-transcript"), Outcome::Completed),
        "summary" => (text.say("timeline-summary"), Outcome::Completed),
        _ => (text.say("timeline-other"), Outcome::Sent),
    };
    let after = happening
        .at
        .duration_since(moment.call.started_at)
        .as_secs();
    let detail = u64::try_from(after)
        .ok()
        .filter(|after| *after > 0)
        .map(|after| {
            text.say("timeline-after")
                .with("length", duration::clock(after))
                .to_string()
        });
    TimelineEntry {
        at: look.viewer.stamp_to_the_second(happening.at),
        label: label.to_string(),
        detail,
        outcome,
    }
}

fn leg_view(look: &Look, moment: &Moment, leg: &LegFacts) -> Leg {
    let text = look.viewer.text;
    // What a leg does not say by itself is as the call has it.
    let call = &moment.call;
    let say = |own: &str, of_call: &str| {
        let party = if own.is_empty() { of_call } else { own };
        if party.is_empty() {
            text.say("party-withheld").to_string()
        } else {
            look.phone(party).text().to_owned()
        }
    };
    let ours = say(&leg.our_number, call.line());
    let (from, to) = match call.direction {
        tollbook_core::calls::Direction::Incoming => (say(&leg.external_party, &call.from), ours),
        tollbook_core::calls::Direction::Outgoing => (ours, say(&leg.external_party, &call.to)),
    };
    let talked = leg
        .answered_at
        .zip(leg.ended_at)
        .map(|(from, to)| to.duration_since(from).as_secs());
    Leg {
        provider: moment.call.provider.to_string(),
        sid: leg.sid.clone(),
        from,
        to,
        state: match leg.phase {
            Phase::Queued => text.say("timeline-queued"),
            Phase::Ringing => text.say("timeline-ringing"),
            Phase::InProgress => text.say("timeline-answered"),
            Phase::Ended => text.say("timeline-ended"),
        }
        .to_string(),
        length: talked.map(elements::length).unwrap_or_default(),
    }
}

fn charges(look: &Look, parts: &[PartFacts]) -> Vec<ChargeView> {
    let text = look.viewer.text;
    parts
        .chunk_by(|a, b| a.charge == b.charge)
        .filter_map(|parts| {
            let first = parts.first()?;
            let explained: Vec<Part<'_>> = parts.iter().map(PartFacts::to_explain).collect();
            Some(ChargeView {
                payer: first.payer.clone(),
                terms: first
                    .terms
                    .as_ref()
                    .map_or_else(String::new, |(plan, version)| {
                        text.say("charge-terms")
                            .with("plan", plan)
                            .with("version", version)
                            .to_string()
                    }),
                amount: Amount::price(text, &first.total, first.currency),
                invoice: first
                    .invoice
                    .as_ref()
                    .map(|(id, number)| (number.clone(), format!("/invoices/{id}"))),
                steps: explain(&look.viewer, &explained),
            })
        })
        .collect()
}

/// Cost, revenue and margin; nothing while the cost is not known, since not known is not zero.
fn margin(look: &Look, moment: &Moment, cost: Option<CostFacts>) -> Vec<Fact> {
    let text = look.viewer.text;
    let (Some(cost), Some(charged)) = (cost, &moment.charged) else {
        return Vec::new();
    };
    let fact = |label: String, plain: &str, currency| Fact {
        label,
        value: Amount::price(text, plain, currency).text().to_owned(),
    };
    let mut facts = vec![
        fact(
            text.say("margin-cost").to_string(),
            &cost.cost,
            cost.currency,
        ),
        fact(
            text.say("margin-revenue").to_string(),
            &charged.plain,
            charged.currency,
        ),
    ];
    if let Some(margin) = &cost.margin {
        facts.push(fact(
            text.say("margin-left").to_string(),
            margin,
            cost.currency,
        ));
    }
    facts
}

fn transcript_view(
    look: &Look,
    moment: &Moment,
    transcript: Option<TranscriptFacts>,
    is_recorded: bool,
) -> Transcript {
    let ended = moment.call.ended_at;
    match transcript {
        Some(facts) => Transcript::Ready {
            summary: Some(facts.summary.join(" ")).filter(|it| !it.is_empty()),
            lines: facts
                .lines
                .iter()
                .map(|said| line(look, moment, said))
                .collect(),
        },
        None if is_recorded
            && ended.is_some_and(|at| look.viewer.now.duration_since(at) < TRANSCRIPT_WAIT) =>
        {
            Transcript::Processing
        }
        None => Transcript::Absent,
    }
}

fn line(look: &Look, moment: &Moment, said: &Said) -> TranscriptLine {
    let call = &moment.call;
    let is_ours = said.user_sid.is_some() || said.speaker.as_deref() == Some(call.line());
    let number = said
        .speaker
        .as_deref()
        .map(|party| look.phone(party).text().to_owned());
    let known = if is_ours {
        elements::agent(call)
    } else {
        elements::party(look, call).name
    };
    TranscriptLine {
        start_ms: said.start_ms,
        start: duration::clock(said.start_ms / 1000),
        speaker: known.or(number).unwrap_or_default(),
        is_ours,
        text: said.text.clone(),
    }
}

fn webhook(look: &Look, raw: &RawWebhook) -> Webhook {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&raw.body).ok();
    let kind = parsed.as_ref().and_then(|body| body.get("type")?.as_str());
    let pretty = parsed
        .as_ref()
        .and_then(|body| serde_json::to_string_pretty(body).ok());
    Webhook {
        received: look.viewer.stamp_to_the_second(raw.received_at),
        event: kind.unwrap_or(&raw.event_key).to_owned(),
        verdict: raw.verdict.clone(),
        is_failed: false,
        body: pretty.unwrap_or_else(|| String::from_utf8_lossy(&raw.body).into_owned()),
    }
}
