//! Customers themselves.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::{Money, Price};
use tollbook_core::phone::E164;
use tollbook_core::subscriptions::State as SubscriptionState;
use uuid::Uuid;

use super::super::edit::{Profile, change_customer, create_customer};
use super::super::list::{self, Customer, Place, Which};
use super::super::summary::{Contract, Hours, summaries};
use super::super::{balance, reach};
use super::{country, number};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::caller::{OrgAdmin, OrgMember};
use crate::http::csv::{self, Chunk};
use crate::http::input::{Input, Params, Path};
use crate::http::list::{List, Paging};

/// What `GET /api/customers` can be narrowed to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    /// `all`, `subscribers` or `prospects`.
    #[serde(default)]
    which: Which,
    /// Beginnings of words of names, mail addresses and numbers; looks among all.
    #[serde(default)]
    q: String,
}

/// `GET /api/customers`: a page, or all of them as CSV.
pub(crate) async fn list_customers(
    State(app): State<App>,
    caller: OrgMember,
    paging: Paging,
    Params(filter): Params<Filter>,
    headers: HeaderMap,
) -> Result<Response> {
    if csv::is_wanted(&headers) {
        return as_csv(app, caller, filter).await;
    }
    let mut tx = app.db.begin(&caller.actor).await?;
    let (which, after) = (filter.which, paging.key::<Place>()?);
    let organization = caller.organization;
    let places = list::places(
        &mut tx,
        organization,
        which,
        &filter.q,
        after.as_ref(),
        paging.rows(),
    )
    .await?;
    let page = paging.page(places, Clone::clone)?;
    let data = list::customers(&mut tx, organization, &page.data).await?;
    let list = List {
        data,
        next_cursor: page.next_cursor,
    };
    Ok(Json(list).into_response())
}

const COLUMNS: [&str; 8] = [
    "id",
    "kind",
    "name",
    "email",
    "phoneNumbers",
    "externalKey",
    "createdAt",
    "updatedAt",
];

async fn as_csv(app: App, caller: OrgMember, filter: Filter) -> Result<Response> {
    let filter = std::sync::Arc::new(filter);
    csv::stream("customers", &COLUMNS, move |after: Option<Place>| {
        let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
        async move {
            let mut tx = app.db.begin(&caller.actor).await?;
            let organization = caller.organization;
            let (which, q) = (filter.which, filter.q.as_str());
            let places =
                list::places(&mut tx, organization, which, q, after.as_ref(), csv::CHUNK).await?;
            let customers = list::customers(&mut tx, organization, &places).await?;
            let is_last = i64::try_from(places.len()).is_ok_and(|len| len < csv::CHUNK);
            Ok(Chunk {
                rows: customers.iter().map(row).collect(),
                next: places.into_iter().next_back().filter(|_| !is_last),
            })
        }
    })
    .await
}

fn row(it: &Customer) -> Vec<String> {
    vec![
        it.id.to_string(),
        it.kind.clone(),
        it.name.clone(),
        it.email.clone().unwrap_or_default(),
        it.phone_numbers.join(" "),
        it.external_key.clone().unwrap_or_default(),
        it.created_at.to_string(),
        it.updated_at.to_string(),
    ]
}

/// What a customer is at present.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerDetail {
    #[serde(flatten)]
    customer: Customer,
    /// What is open, less what is theirs; one for each currency. An admin also sees payments that pay no invoice yet.
    balance: Vec<Total>,
    subscription: Option<SubscriptionDetail>,
    hours: Option<HoursDetail>,
}

/// An amount in a currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Total {
    /// A decimal.
    total: String,
    currency: String,
}

impl From<Money> for Total {
    fn from(money: Money) -> Self {
        Self {
            total: money.amount(),
            currency: money.currency().code().to_owned(),
        }
    }
}

/// The latest subscription.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionDetail {
    id: Uuid,
    plan: String,
    #[schema(value_type = String)]
    status: SubscriptionState,
    #[schema(value_type = Option<String>, format = DateTime)]
    current_period_start: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    current_period_end: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    auto_renew: bool,
}

impl From<Contract> for SubscriptionDetail {
    fn from(contract: Contract) -> Self {
        Self {
            id: contract.id.uuid(),
            plan: contract.plan,
            status: contract.state,
            current_period_start: contract.period.map(|it| it.start()),
            current_period_end: contract.period.map(|it| it.end()),
            ends_at: contract.ends_at,
            auto_renew: contract.auto_renew,
        }
    }
}

/// Included time, in seconds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoursDetail {
    included_seconds: u32,
    used_seconds: u32,
    left_seconds: u32,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<Hours> for HoursDetail {
    fn from(hours: Hours) -> Self {
        Self {
            included_seconds: hours.granted.get(),
            used_seconds: hours.used.get(),
            left_seconds: hours.left().get(),
            expires_at: hours.expires_at,
        }
    }
}

/// `GET /api/customers/{id}`.
pub(crate) async fn get_customer(
    State(app): State<App>,
    caller: OrgMember,
    Path(id): Path<CustomerId>,
) -> Result<Json<CustomerDetail>> {
    let mut tx = app.db.begin(&caller.actor).await?;
    detail(
        &mut tx,
        &caller.actor,
        caller.organization,
        id,
        app.clock.now(),
    )
    .await
}

async fn detail(
    tx: &mut Tx,
    actor: &Actor,
    organization: OrganizationId,
    id: CustomerId,
    now: Timestamp,
) -> Result<Json<CustomerDetail>> {
    let customer = list::customer(tx, organization, id).await?;
    let summary = summaries(tx, organization, &[id], now).await?.remove(&id);
    let balance = balance::balance(tx, actor, organization, id).await?;
    let summary = summary.ok_or(Error::NotFound("customer"))?;
    Ok(Json(CustomerDetail {
        customer,
        balance: balance.into_iter().map(Total::from).collect(),
        subscription: summary.subscription.map(SubscriptionDetail::from),
        hours: summary.hours.map(HoursDetail::from),
    }))
}

/// What people write of a customer. Absent fields stay as they are; null clears one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CustomerInput {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    zone: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    country: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    external_key: Change<String>,
    tax_exempt: Option<bool>,
    /// A number or decimal string.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tax_percent: Change<Price>,
    tax_inclusive: Option<bool>,
    /// Numbers that they call from, in any spelling; they are added to those known.
    #[serde(default)]
    phone_numbers: Vec<String>,
}

/// A field that may be absent, null or given.
#[derive(Debug, Default)]
enum Change<T> {
    #[default]
    Keep,
    Set(Option<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self::Set)
    }
}

impl<T> Change<T> {
    fn apply(self, to: &mut Option<T>) {
        if let Self::Set(value) = self {
            *to = value;
        }
    }
}

/// Longest name.
const NAME_MAX: usize = 200;
/// Most numbers of one request.
const NUMBERS_MAX: usize = 100;

impl CustomerInput {
    fn check(&self) -> Result<()> {
        if self
            .name
            .as_deref()
            .is_some_and(|it| it.chars().count() > NAME_MAX)
        {
            return Err(Error::invalid(
                "name",
                format!("must have at most {NAME_MAX} characters"),
            ));
        }
        if self.phone_numbers.len() > NUMBERS_MAX {
            return Err(Error::invalid(
                "phoneNumbers",
                format!("has more than {NUMBERS_MAX} numbers"),
            ));
        }
        Ok(())
    }

    fn numbers(&self, country: &str) -> Result<Vec<E164>> {
        let numbers = self.phone_numbers.iter().enumerate();
        numbers
            .map(|(index, text)| number(&format!("phoneNumbers[{index}]"), text, country))
            .collect()
    }

    fn apply(self, profile: &mut Profile) {
        if let Some(name) = self.name {
            name.trim().clone_into(&mut profile.name);
        }
        self.email.apply(&mut profile.email);
        self.zone.apply(&mut profile.zone);
        self.country.apply(&mut profile.country);
        self.external_key.apply(&mut profile.external_key);
        profile.tax_exempt = self.tax_exempt.unwrap_or(profile.tax_exempt);
        self.tax_percent.apply(&mut profile.tax_percent);
        profile.tax_inclusive = self.tax_inclusive.unwrap_or(profile.tax_inclusive);
    }
}

/// `POST /api/customers`.
pub(crate) async fn post_customer(
    State(app): State<App>,
    caller: OrgAdmin,
    Input(input): Input<CustomerInput>,
) -> Result<(StatusCode, Json<CustomerDetail>)> {
    input.check()?;
    let organization = caller.organization;
    let mut tx = app.db.begin(&caller.actor).await?;
    let country = country(&mut tx, organization).await?;
    let numbers = input.numbers(&country)?;
    let mut profile = Profile::default();
    input.apply(&mut profile);
    if profile.name.is_empty() {
        return Err(Error::invalid("name", "is required"));
    }
    let now = app.clock.now();
    let id = create_customer(&mut tx, organization, &profile, &numbers, now).await?;
    let created = list::customer(&mut tx, organization, id).await?;
    let deed = Deed::new(organization, "customer.created", "customer", id).after(&created)?;
    audit::record(&mut tx, &caller.actor, deed).await?;
    let detail = detail(&mut tx, &caller.actor, organization, id, now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, detail))
}

/// `PATCH /api/customers/{id}`.
pub(crate) async fn patch_customer(
    State(app): State<App>,
    caller: OrgAdmin,
    Path(id): Path<CustomerId>,
    Input(input): Input<CustomerInput>,
) -> Result<Json<CustomerDetail>> {
    input.check()?;
    let organization = caller.organization;
    let mut tx = app.db.begin(&caller.actor).await?;
    let before = list::customer(&mut tx, organization, id).await?;
    let country = country(&mut tx, organization).await?;
    let now = app.clock.now();
    let numbers = input.numbers(&country)?;
    reach::give_numbers(&mut tx, organization, id, &numbers, "", now).await?;
    change_customer(&mut tx, organization, id, |profile| input.apply(profile)).await?;
    let after = list::customer(&mut tx, organization, id).await?;
    let deed = Deed::new(organization, "customer.changed", "customer", id);
    audit::record(&mut tx, &caller.actor, deed.before(&before)?.after(&after)?).await?;
    let detail = detail(&mut tx, &caller.actor, organization, id, now).await?;
    tx.commit().await?;
    Ok(detail)
}
