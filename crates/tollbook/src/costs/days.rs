//! Prices in the ledger: one entry for each provider, meter and day on which prices became known, once the day is over.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::{Date, ToSqlx as _};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;
use tollbook_core::ledger::cost;
use tollbook_core::money::{Currency, Money, Price, Rounding, round_to_minor};
use tollbook_core::payer::PayerKind;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::ledger::{self, Document};

/// How long after its end a day is posted: by then every price that became known on it is there.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// What became known on a day of the prices of one provider and meter in one currency.
struct Day {
    bearer: String,
    provider: String,
    meter: String,
    currency: String,
    on: Date,
    amount: Decimal,
    /// With all days before.
    total: Decimal,
    prices: i64,
}

/// The same as it is posted.
struct Posting {
    id: Uuid,
    payer: PayerKind,
    amount: Money,
    at: Timestamp,
}

/// Posts every day that is over. Posting again adds nothing.
pub(crate) async fn post_days(app: &App) -> Result<()> {
    let end = app.clock.now().checked_sub(GRACE).unwrap_or(Timestamp::MIN);
    // Providers count days in UTC.
    let until = end.to_zoned(TimeZone::UTC).date().to_sqlx();
    let mut after = Uuid::nil();
    loop {
        let mut tx = app.db.begin(&Actor::system()).await?;
        let Some(organization) = next_organization(&mut tx, after, until).await? else {
            return Ok(());
        };
        after = organization;
        post_until(&mut tx, organization.into(), until).await?;
        tx.commit().await?;
    }
}

/// The next organization behind `after` of which a price became known on a day that is over and not posted.
async fn next_organization(
    tx: &mut PgConnection,
    after: Uuid,
    until: Date,
) -> Result<Option<Uuid>> {
    let next = sqlx::query_scalar!(
        "select o.id from organizations o
         left join cost_postings p on p.organization_id = o.id
         where o.id > $1 and (p.posted_until is null or p.posted_until < $2) and exists (
             select from provider_prices r where r.organization_id = o.id and r.known_at < $2::date::timestamp at time zone 'UTC'
                 and r.known_at >= coalesce(p.posted_until::timestamp at time zone 'UTC', '-infinity'))
         order by o.id limit 1",
        after,
        until as _,
    )
    .fetch_optional(tx)
    .await?;
    Ok(next)
}

async fn post_until(
    tx: &mut PgConnection,
    organization: OrganizationId,
    until: Date,
) -> Result<()> {
    sqlx::query!(
        "insert into cost_postings (organization_id, posted_until) values ($1, '1970-01-01') on conflict (organization_id) do nothing",
        organization.uuid(),
    )
    .execute(&mut *tx)
    .await?;
    // Whoever has the row posts; who comes after finds it done.
    let from = sqlx::query_scalar!(
        "select posted_until from cost_postings where organization_id = $1 for no key update",
        organization.uuid(),
    )
    .fetch_one(&mut *tx)
    .await?;
    let days = sqlx::query_file_as!(
        Day,
        "src/costs/days.sql",
        organization.uuid(),
        from as _,
        until as _
    )
    .fetch_all(&mut *tx)
    .await?;
    let postings = days.iter().map(Day::posting).collect::<Result<Vec<_>>>()?;
    write(tx, organization, &days, &postings).await?;
    let mut entries = Vec::with_capacity(days.len());
    for (day, posting) in days.iter().zip(&postings) {
        let document = Document {
            kind: ledger::COST,
            id: posting.id,
            payer: posting.payer,
            occurred_at: posting.at,
        };
        let entry = cost(posting.payer, &day.meter, posting.amount)
            .map_err(|e| Error::Internal(format!("the costs of a day: {e}")))?;
        entries.push((document, entry));
    }
    ledger::post(tx, organization, &entries).await?;
    sqlx::query!(
        "update cost_postings set posted_until = greatest(posted_until, $2) where organization_id = $1",
        organization.uuid(),
        until as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

impl Day {
    /// The total, rounded, less that of the days before, rounded: over time nothing is lost.
    fn posting(&self) -> Result<Posting> {
        let stored =
            |e: &dyn std::fmt::Display| Error::Internal(format!("the costs of a day: {e}"));
        let currency: Currency = self.currency.parse().map_err(|e| stored(&e))?;
        let total = Price::try_from(self.total).map_err(|e| stored(&e))?;
        let amount = Price::try_from(self.amount).map_err(|e| stored(&e))?;
        let before = total
            .to_fraction()
            .checked_sub(amount.to_fraction())
            .map_err(|e| stored(&e))?;
        let rounded = |exact| round_to_minor(exact, currency, Rounding::HalfUp).map(|it| it.money);
        let total = rounded(total.to_fraction()).map_err(|e| stored(&e))?;
        let before = rounded(before).map_err(|e| stored(&e))?;
        let at = self.on.to_jiff().to_zoned(TimeZone::UTC);
        Ok(Posting {
            id: new_id(),
            payer: if self.bearer == "platform" {
                PayerKind::Organization
            } else {
                PayerKind::Customer
            },
            amount: total.checked_sub(before).map_err(|e| stored(&e))?,
            at: at.map_err(|e| stored(&e))?.timestamp(),
        })
    }
}

async fn write(
    tx: &mut PgConnection,
    organization: OrganizationId,
    days: &[Day],
    postings: &[Posting],
) -> Result<()> {
    let ids: Vec<Uuid> = postings.iter().map(|p| p.id).collect();
    let bearers: Vec<&str> = days.iter().map(|d| d.bearer.as_str()).collect();
    let providers: Vec<&str> = days.iter().map(|d| d.provider.as_str()).collect();
    let meters: Vec<&str> = days.iter().map(|d| d.meter.as_str()).collect();
    let currencies: Vec<&str> = days.iter().map(|d| d.currency.as_str()).collect();
    let dates: Vec<Date> = days.iter().map(|d| d.on).collect();
    let amounts: Vec<Decimal> = days.iter().map(|d| d.amount).collect();
    let totals: Vec<Decimal> = days.iter().map(|d| d.total).collect();
    let prices: Vec<i64> = days.iter().map(|d| d.prices).collect();
    let minor: Vec<i64> = postings.iter().map(|p| p.amount.minor()).collect();
    let digits = postings
        .iter()
        .map(|p| i16::try_from(p.amount.currency().exponent()).unwrap_or_default())
        .collect::<Vec<i16>>();
    sqlx::query!(
        "insert into provider_cost_days (organization_id, id, bearer, provider, meter, currency, day, amount, total, prices, amount_minor, minor_digits)
         select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::numeric[], $9::numeric[],
             $10::bigint[], $11::bigint[], $12::smallint[]) as d",
        organization.uuid(),
        &ids,
        &bearers as &[&str],
        &providers as &[&str],
        &meters as &[&str],
        &currencies as &[&str],
        &dates as &[Date],
        &amounts,
        &totals,
        &prices,
        &minor,
        &digits,
    )
    .execute(tx)
    .await?;
    Ok(())
}
