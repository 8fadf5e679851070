//! Whose call it is, as people say: an unknown caller gets a name or turns out to be a customer, one of several who share
//! a number is chosen, a call that was taken for one customer's goes to another.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CallId, CustomerId, OrganizationId};
use tollbook_core::phone::E164;

use super::give::{HeldCall, give_calls, hold_calls};
use super::read::calls_by_id;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::customers::{self, Profile};
use crate::error::{Error, Result};

/// Who it is.
#[derive(Debug, Clone)]
pub(crate) enum Whose {
    Customer(CustomerId),
    /// Somebody who is not a customer yet.
    New(String),
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
    let held = hold_calls(&mut tx, organization, &[call], &BTreeSet::new()).await?;
    let held = held.into_iter().next().ok_or(Error::NotFound("call"))?;
    let is_known = held.customer.is_some() && !held.is_prospect;
    let is_same = matches!(whose, Whose::Customer(id) if Some(*id) == held.customer);
    if is_known && !is_same && !actor.administers(organization) {
        let text = "the call is a customer's already: an administrator may give it to another";
        return Err(Error::Forbidden(text.to_owned()));
    }
    let customer = identify(app, &mut tx, organization, &held, whose).await?;
    if Some(customer) != held.customer {
        let gifts = [(&held, Some(customer))];
        let effects = give_calls(&mut tx, organization, &gifts).await?;
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

/// The customer who is meant; made, named, or given the number, so that they are recognized from now on.
async fn identify(
    app: &App,
    tx: &mut PgConnection,
    organization: OrganizationId,
    held: &HeldCall,
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
