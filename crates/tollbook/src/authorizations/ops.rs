//! Calls are let through, let on, and given back.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Direction;
use tollbook_core::fraud::{Reason, Scope};
use tollbook_core::ids::{AccountId, AuthorizationId, CustomerId, OrganizationId, UserId};
use tollbook_core::payer::PayerKind;
use tollbook_core::phone::E164;

use super::plan::{Asked, Planned, plan};
use super::store::{self, Authorization, Held, Part, Parties, Wanted};
use super::{expires_at, usage};
use crate::alerts::AlertKind;
use crate::app::App;
use crate::error::{Error, OnConstraint as _, Result};
use crate::fraud::{self, Judgement, NewHold, Where};
use crate::http::caller::Dialer;
use crate::ids::new_id;
use crate::numbers::not_yours;

/// A call that is asked for.
#[derive(Debug, Clone)]
pub(super) struct NewCall {
    /// The caller's own name for it.
    pub(super) key: String,
    pub(super) parties: Parties,
    /// How long it is to last at most.
    pub(super) seconds: u32,
}

impl NewCall {
    /// The first 16 bytes of SHA-256 of what is asked.
    fn hash(&self) -> [u8; 16] {
        let Parties {
            direction,
            ours,
            external,
        } = &self.parties;
        let text = format!("{direction} {ours} {external} {}", self.seconds);
        let mut short = [0; 16];
        short.copy_from_slice(
            Sha256::digest(text.as_bytes())
                .first_chunk::<16>()
                .map_or(&[0; 16], |chunk| chunk),
        );
        short
    }
}

pub(super) fn no_credit() -> Error {
    Error::conflict("no_credit", "nothing is left that would pay for the call")
}

fn capped() -> Error {
    Error::conflict(
        "spend_cap",
        "the cap on spending does not let the call begin",
    )
}

pub(super) fn closed() -> Error {
    Error::conflict("authorization_closed", "the call has ended")
}

/// Who may use only numbers that are assigned to them.
fn confined(dialer: &Dialer) -> Option<UserId> {
    let actor = &dialer.actor;
    actor
        .user()
        .filter(|_| !actor.administers(dialer.organization))
}

/// Lets a call through, for as long as there is something left for it. Asked again under the same key, it answers with
/// the same call.
pub(super) async fn authorize(app: &App, dialer: &Dialer, new: &NewCall) -> Result<Authorization> {
    match try_authorize(app, dialer, new).await {
        // Somebody else was at it under the same key, for another payer or for none.
        Err(Error::Conflict {
            code: KEY_TAKEN, ..
        }) => try_authorize(app, dialer, new).await,
        done => done,
    }
}

const KEY_TAKEN: &str = "idempotency_in_progress";

async fn try_authorize(app: &App, dialer: &Dialer, new: &NewCall) -> Result<Authorization> {
    let (organization, now) = (dialer.organization, app.clock.now());
    let user = confined(dialer);
    let mut tx = app.db.begin_dial(&Actor::system()).await?;
    let line = store::hold(&mut tx, organization, &new.parties, user, now).await?;
    let line = line.filter(|line| line.is_allowed).ok_or_else(not_yours)?;
    let Parties {
        direction,
        external,
        ..
    } = &new.parties;
    let place = place(*direction, external);
    let wanted = Wanted {
        organization,
        accounts: &line.accounts,
        customer: line.customer,
        at: now,
        now,
        key: Some(&new.key),
        known: None,
        place: place.as_ref(),
    };
    let loaded = store::load(&mut tx, &wanted).await?;
    if let Some(known) = loaded.existing {
        return again(&mut tx, organization, known, new).await;
    }
    if let (Some(guard), Some(place)) = (&loaded.guard, &place) {
        let to = (place, external);
        if let Some(reason) = ask_guard(app, &mut tx, organization, guard, to).await? {
            tx.commit().await?;
            return Err(fraud::refused(reason));
        }
    }
    let asked = Asked {
        call: usage(*direction, external, now, 0),
        seconds: new.seconds,
        external_field: external_field(*direction),
        now,
    };
    let planned = plan(&mut tx, &app.terms, loaded.standings, &asked).await?;
    let Planned { seconds, parts, .. } = planned;
    if seconds == 0 {
        return Err(nothing_left(
            app,
            organization,
            line.customer,
            planned.capped,
        ));
    }
    let authorization = let_through(dialer, new, &line, (seconds, &parts), now);
    store::write(&mut tx, &authorization, &parts, now)
        .await
        .on_constraint("call_authorizations_key", || {
            Error::conflict(
                KEY_TAKEN,
                "the first request with this key is being answered",
            )
        })?;
    tx.commit().await?;
    Ok(authorization)
}

/// A call that is let through for so many seconds, with what is held for it.
fn let_through(
    dialer: &Dialer,
    new: &NewCall,
    line: &store::Line,
    (seconds, parts): (u32, &[store::Part]),
    now: Timestamp,
) -> Authorization {
    Authorization {
        organization: dialer.organization,
        id: new_id(),
        key: new.key.clone(),
        request_hash: new.hash(),
        number: line.number,
        parties: new.parties.clone(),
        customer: line.customer,
        seconds,
        started_at: now,
        expires_at: expires_at(now, seconds),
        released_at: None,
        created_by: dialer.actor.user(),
        held: parts.iter().map(held).collect(),
    }
}

/// Where a call out goes.
fn place(direction: Direction, external: &E164) -> Option<Where> {
    (direction == Direction::Outgoing).then(|| Where::of(external))
}

/// Asks the organization's guard about a call out; returns why calls like it are held from now on. The caller commits that.
async fn ask_guard(
    app: &App,
    tx: &mut PgConnection,
    organization: OrganizationId,
    guard: &fraud::Standing,
    (place, external): (&Where, &E164),
) -> Result<Option<Reason>> {
    match guard.judge(&place.destination)? {
        Judgement::Pass => Ok(None),
        Judgement::Held(reason) => Err(still_held(app, organization, place, reason)),
        Judgement::Hold(reason) => {
            let hold = NewHold {
                organization,
                destination: &place.destination,
                reason,
                external,
                call: None,
                at: app.clock.now(),
            };
            fraud::hold(tx, &[hold]).await?;
            Ok(Some(reason))
        }
    }
}

/// Why a call may not begin. People hear of it where it is a cap: credit is brought by who pays.
fn nothing_left(
    app: &App,
    organization: OrganizationId,
    customer: Option<CustomerId>,
    payer: Option<PayerKind>,
) -> Error {
    let Some(payer) = payer else {
        return no_credit();
    };
    let customer = customer.filter(|_| payer == PayerKind::Customer);
    let (kind, error, now) = (AlertKind::CapRefused, capped(), app.clock.now());
    app.tally
        .note(organization, kind, customer, "", &error.to_string(), now);
    error
}

/// A call is refused that is like those that are held already.
fn still_held(app: &App, organization: OrganizationId, place: &Where, reason: Reason) -> Error {
    let error = fraud::refused(reason);
    let subject = match reason.scope() {
        Scope::Destination => place.destination.to_string(),
        Scope::Everything => String::new(),
    };
    let (kind, now) = (AlertKind::Fraud, app.clock.now());
    app.tally
        .note(organization, kind, None, &subject, &error.to_string(), now);
    error
}

fn held(part: &Part) -> Held {
    Held {
        payer: part.payer,
        amount: part.amount,
        state: "open".to_owned(),
    }
}

/// The field that names the other side.
const fn external_field(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "from",
        Direction::Outgoing => "to",
    }
}

async fn again(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: AuthorizationId,
    new: &NewCall,
) -> Result<Authorization> {
    let found = store::one(tx, organization, id, None).await?;
    let (known, _) = found.ok_or(Error::NotFound("authorization"))?;
    if known.request_hash == new.hash() {
        Ok(known)
    } else {
        Err(Error::invalid("key", "was used for another call"))
    }
}

/// A call that the caller may know of.
pub(super) async fn find(
    tx: &mut PgConnection,
    dialer: &Dialer,
    id: AuthorizationId,
) -> Result<Authorization> {
    let found = store::one(tx, dialer.organization, id, confined(dialer)).await?;
    found
        .filter(|(_, is_allowed)| *is_allowed)
        .map(|(found, _)| found)
        .ok_or(Error::NotFound("authorization"))
}

impl Authorization {
    /// Whether the call may still go on at `now`.
    fn is_open(&self, now: Timestamp) -> bool {
        let is_held = self.held.iter().all(|held| held.state == "open");
        self.released_at.is_none() && is_held && now < self.expires_at
    }
}

/// Lets a call last for `seconds` in all, from its start, or for as much of that as there is something left for. It is
/// never made shorter.
pub(super) async fn extend(
    app: &App,
    dialer: &Dialer,
    id: AuthorizationId,
    seconds: u32,
) -> Result<Authorization> {
    let (organization, now) = (dialer.organization, app.clock.now());
    let mut tx = app.db.begin_dial(&Actor::system()).await?;
    let accounts = store::hold_again(&mut tx, organization, id).await?;
    let mut call = find(&mut tx, dialer, id).await?;
    if !call.is_open(now) {
        return Err(closed());
    }
    if seconds <= call.seconds {
        return Ok(call);
    }
    let Parties {
        direction,
        external,
        ..
    } = &call.parties;
    let place = place(*direction, external);
    let wanted = Wanted {
        organization,
        accounts: &accounts,
        customer: call.customer,
        at: call.started_at,
        now,
        key: None,
        known: Some(id),
        place: place.as_ref(),
    };
    let loaded = store::load(&mut tx, &wanted).await?;
    // A call that was let through goes on, unless others like it are held by now.
    let reason = loaded.guard.as_ref().map(fraud::Standing::held);
    if let (Some(reason), Some(place)) = (reason.transpose()?.flatten(), &place) {
        return Err(still_held(app, organization, place, reason));
    }
    let asked = Asked {
        call: usage(*direction, external, call.started_at, 0),
        seconds,
        external_field: external_field(*direction),
        now,
    };
    let planned = plan(&mut tx, &app.terms, loaded.standings, &asked).await?;
    let (longest, parts) = (planned.seconds, planned.parts);
    if longest <= call.seconds {
        return Ok(call);
    }
    call.seconds = longest;
    call.expires_at = expires_at(call.started_at, longest);
    call.held = parts.iter().map(held).collect();
    store::write(&mut tx, &call, &parts, now).await?;
    tx.commit().await?;
    Ok(call)
}

/// Gives back what is held for a call that did not happen. Once more, it changes nothing.
pub(super) async fn release(
    app: &App,
    dialer: &Dialer,
    id: AuthorizationId,
) -> Result<Authorization> {
    let (organization, now) = (dialer.organization, app.clock.now());
    let mut tx = app.db.begin_dial(&Actor::system()).await?;
    let accounts = store::hold_again(&mut tx, organization, id).await?;
    let mut call = find(&mut tx, dialer, id).await?;
    if call.released_at.is_some() {
        return Ok(call);
    }
    if call.held.iter().any(|held| held.state == "settled") {
        return Err(closed());
    }
    let keys: Vec<_> = accounts
        .into_iter()
        .map(|account| (organization, id, AccountId::from(account)))
        .collect();
    store::close(&mut tx, &keys, "released", now).await?;
    sqlx::query!(
        "update call_authorizations set released_at = $3 where organization_id = $1 and id = $2 and released_at is null",
        organization.uuid(),
        id.uuid(),
        now.to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    call.released_at = Some(now);
    Ok(call)
}
