//! Whose call it is, as people say: an unknown caller gets a name or turns out to be a customer, one of several who share
//! a number is chosen, a call that was taken for one customer's goes to another.
//!
//! What was recorded of the call is taken back where it went and recorded anew, and so rated anew.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CallId, CustomerId, IntegrationId, MappingId, OrganizationId, UserId};
use tollbook_core::phone::{E164, Party};

use super::effects::Effects;
use super::parts::{self, Moved};
use super::read::calls_by_id;
use super::store::{self, StoredLeg};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::customers::{self, Profile};
use crate::db::Tx;
use crate::db::types::Text;
use crate::error::{Error, Result};
use crate::inbox;
use crate::live::LiveKind;
use crate::metering::{Attribution, NewUsage, given};

/// Who it is.
#[derive(Debug, Clone)]
pub(crate) enum Whose {
    Customer(CustomerId),
    /// Somebody who is not a customer yet.
    New(String),
}

/// The call as it stands, kept from others until the transaction ends.
struct Held {
    customer: Option<CustomerId>,
    is_prospect: bool,
    number: Option<E164>,
    provider: Provider,
    root_sid: String,
    attribution: Attribution,
    records: Vec<Record>,
}

/// A record of the call.
struct Record {
    sid: String,
    started_at: Option<Timestamp>,
}

/// Says whose a call is that `actor` may see. An unknown caller may be named by anybody who sees the call; what is one
/// customer's is given to another only by whoever runs the organization.
pub(crate) async fn attribute(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    call: CallId,
    whose: &Whose,
) -> Result<CustomerId> {
    let mut tx = app.db.begin(actor).await?;
    let visible = calls_by_id(&mut tx, organization, &[call.uuid()]).await?;
    tx.rollback().await?;
    if visible.is_empty() {
        return Err(Error::NotFound("call"));
    }
    // Members may not write customers, but they may say who is on the line.
    let system = Actor::organization_system(organization);
    let mut tx = app.db.begin(&system).await?;
    let held = hold(&mut tx, organization, call).await?;
    let is_known = held.customer.is_some() && !held.is_prospect;
    let is_same = matches!(whose, Whose::Customer(id) if Some(*id) == held.customer);
    if is_known && !is_same && !actor.administers(organization) {
        let text = "the call is a customer's already: an administrator may give it to another";
        return Err(Error::Forbidden(text.to_owned()));
    }
    let customer = identify(app, &mut tx, organization, &held, whose).await?;
    if Some(customer) != held.customer {
        let effects = give(&mut tx, organization, call, &held, customer).await?;
        effects.write(&mut tx).await?;
    }
    let deed = Deed::new(organization, "call.attributed", "call", call)
        .before(&json!({"customerId": held.customer}))?
        .after(&json!({"customerId": customer, "named": matches!(whose, Whose::New(_))}))?;
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    app.wake.rating.notify_one();
    Ok(customer)
}

/// Keeps everybody else from the call: interpreters and other people by its records, and by the persons on the line.
async fn hold(tx: &mut Tx, organization: OrganizationId, call: CallId) -> Result<Held> {
    let legs = store::legs_of_calls(tx, &[(organization, call)]).await?;
    let records: Vec<(IntegrationId, &str)> = legs
        .iter()
        .flat_map(|stored| {
            let sids = stored
                .leg
                .parent_sid()
                .into_iter()
                .chain([stored.leg.sid()]);
            sids.map(move |sid| (stored.source.integration, sid))
        })
        .collect();
    inbox::hold(tx, &records).await?;
    customers::hold(tx, &persons(organization, &legs)).await?;
    let row = sqlx::query!(
        r#"select c.customer_id, coalesce(k.kind = 'prospect', false) as "is_prospect!", c.external_party,
             c.provider as "provider: Text<Provider>", c.conversation_sid, c.answered_by, c.mapping_id
           from calls c
           left join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
           where c.organization_id = $1 and c.id = $2 and c.merged_into_id is null"#,
        organization.uuid(),
        call.uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound("call"))?;
    Ok(Held {
        customer: row.customer_id.map(CustomerId::from),
        is_prospect: row.is_prospect,
        number: Party::read(&row.external_party).number().cloned(),
        provider: row.provider.0,
        root_sid: row.conversation_sid,
        attribution: Attribution {
            user: row.answered_by.map(UserId::from),
            mapping: row.mapping_id.map(MappingId::from),
            customer: row.customer_id.map(CustomerId::from),
        },
        records: records_of(legs),
    })
}

fn records_of(legs: Vec<StoredLeg>) -> Vec<Record> {
    let record = |stored: StoredLeg| Record {
        sid: stored.leg.sid().to_owned(),
        started_at: stored.leg.started_at(),
    };
    legs.into_iter().map(record).collect()
}

fn persons(organization: OrganizationId, legs: &[StoredLeg]) -> BTreeSet<(OrganizationId, &str)> {
    let numbers = legs.iter().filter_map(|stored| {
        let number = stored.leg.external().and_then(Party::number)?;
        Some((organization, number.as_str()))
    });
    numbers.collect()
}

/// The customer who is meant; made, named, or given the number, so that they are recognized from now on.
async fn identify(
    app: &App,
    tx: &mut PgConnection,
    organization: OrganizationId,
    held: &Held,
    whose: &Whose,
) -> Result<CustomerId> {
    let now = app.clock.now();
    let nobody_yet = held.customer.is_none() || held.is_prospect;
    let number = held.number.as_ref().filter(|_| nobody_yet);
    match (whose, held.customer) {
        (Whose::New(name), Some(prospect)) if held.is_prospect => {
            let named = |profile: &mut Profile| profile.name.clone_from(name);
            customers::change_customer(tx, organization, prospect, named).await?;
            Ok(prospect)
        }
        (Whose::New(name), _) => {
            let profile = Profile {
                name: name.clone(),
                ..Profile::default()
            };
            let numbers: Vec<E164> = number.into_iter().cloned().collect();
            customers::create_customer(tx, organization, &profile, &numbers, now).await
        }
        (Whose::Customer(customer), current) if current == Some(*customer) => Ok(*customer),
        (Whose::Customer(customer), _) => {
            match number {
                Some(number) => {
                    customers::give_number(tx, organization, *customer, number, "", now).await?;
                }
                None => customers::expect(tx, organization, *customer).await?,
            }
            Ok(*customer)
        }
    }
}

/// Gives the call to a customer, with everything that was recorded of it and of its parts.
async fn give(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
    held: &Held,
    customer: CustomerId,
) -> Result<Effects> {
    // Giving a number may have brought it along; but somebody else may have done so with another number of the prospect.
    let updated = sqlx::query!(
        "update calls set customer_id = $3, updated_at = now()
         where organization_id = $1 and id = $2 and (customer_id is not distinct from $4 or customer_id = $3)",
        organization.uuid(),
        call.uuid(),
        customer.uuid(),
        held.attribution.customer.map(CustomerId::uuid),
    )
    .execute(&mut *tx)
    .await?;
    if updated.rows_affected() == 0 {
        return Err(Error::Unavailable("the call is being given away".into()));
    }
    let to = Attribution {
        customer: Some(customer),
        ..held.attribution
    };
    let mut recorded = store::usage_of(tx, &[(organization, call)]).await?;
    let recorded = recorded.remove(&call).unwrap_or_default();
    let changes = given(&recorded, to, None)?.into_iter();
    let mut usages: Vec<NewUsage> = changes
        .map(|change| NewUsage::change(organization, ("call", &held.root_sid), Some(call), change))
        .collect();
    let moved = |record: &Record| Moved {
        organization,
        provider: held.provider,
        sid: record.sid.clone(),
        to,
        started_at: record.started_at,
    };
    let moved: Vec<Moved> = held.records.iter().map(moved).collect();
    usages.extend(parts::follow(tx, &moved).await?);
    Ok(Effects {
        jobs: Vec::new(),
        usages,
        told: vec![(organization, LiveKind::CallUpdated, call.uuid())],
        outgoing: Vec::new(),
    })
}
