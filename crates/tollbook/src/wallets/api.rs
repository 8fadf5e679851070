//! Wallets for programs: credit is brought and paid out by hand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId, WalletId};
use tollbook_core::money::{Currency, Money, Price};
use tollbook_core::payer::Payer;

use super::ops::{self, ByHand, NewWallet};
use super::read::{self, Cursor, MovementView, WalletView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::input::{Input, Params, Path, ShortText};
use crate::http::list::{List, Paging};
use crate::http::seller::{Listed, PayerFilter, Seller};
use crate::organizations;

/// `GET /api/admin/wallets`: the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<List<WalletView>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let rows = read::wallets(&mut tx, listed, None, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, |wallet| Cursor {
        created_at: wallet.created_at,
        id: wallet.id,
    })?))
}

/// A wallet to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OpenInput {
    /// Which organization; it pays the platform unless a customer is named.
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    /// Which customer, who pays the organization.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    /// The organization's if absent.
    #[schema(value_type = Option<String>)]
    currency: Option<Currency>,
    /// How far below nothing it may go; not at all if absent.
    #[schema(value_type = Option<String>)]
    credit_limit: Option<Price>,
}

/// `POST /api/admin/wallets`: from now on the payer pays in advance.
pub(crate) async fn open(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<OpenInput>,
) -> Result<(StatusCode, Json<WalletView>)> {
    let sale = seller.sale(input.org_id, input.customer_id)?;
    let mut tx = app.db.begin(&sale.actor).await?;
    let business = organizations::business(&mut tx, sale.organization).await?;
    let currency = input.currency.unwrap_or(business.currency);
    let new = NewWallet {
        organization: sale.organization,
        payer: sale.payer,
        currency,
        credit_limit: match input.credit_limit {
            Some(limit) => ops::credit_limit_of(limit, currency)?,
            None => Money::zero(currency),
        },
    };
    let id = ops::open(&mut tx, &new).await?;
    let listed = match sale.payer {
        Payer::Organization => Listed::Organizations(Some(sale.organization)),
        Payer::Customer(customer) => Listed::Customers(sale.organization, Some(customer)),
    };
    let made = one(&mut tx, listed, id).await?;
    let deed = Deed::new(sale.organization, "wallet.opened", "wallet", id);
    audit::record(&mut tx, &sale.actor, deed.after(&made)?).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn one(tx: &mut PgConnection, listed: Listed, id: WalletId) -> Result<WalletView> {
    let found = read::wallets(tx, listed, Some(id), None, 1).await?;
    found.into_iter().next().ok_or(Error::NotFound("wallet"))
}

/// `GET /api/admin/wallets/{id}`.
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<WalletId>,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<WalletView>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    Ok(Json(one(&mut tx, listed, id).await?))
}

/// What changes of a wallet.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeInput {
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    /// How far below nothing it may go.
    #[schema(value_type = String)]
    credit_limit: Price,
}

/// `PATCH /api/admin/wallets/{id}`: sets the credit limit.
pub(crate) async fn change(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<WalletId>,
    Input(input): Input<ChangeInput>,
) -> Result<Json<WalletView>> {
    let (actor, listed) = seller.list(input.org_id, input.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let before = one(&mut tx, listed, id).await?;
    let organization = OrganizationId::from(before.org_id);
    ops::limit(&mut tx, organization, id, input.credit_limit).await?;
    let after = one(&mut tx, listed, id).await?;
    let deed = Deed::new(organization, "wallet.changed", "wallet", id);
    audit::record(&mut tx, &actor, deed.before(&before)?.after(&after)?).await?;
    tx.commit().await?;
    Ok(Json(after))
}

/// `GET /api/admin/wallets/{id}/movements`: the newest first.
pub(crate) async fn movements(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<WalletId>,
    paging: Paging,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<List<MovementView>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let wallet = one(&mut tx, listed, id).await?;
    let (organization, after) = (wallet.org_id.into(), paging.key()?);
    let rows = read::movements(&mut tx, organization, id, None, after, paging.rows()).await?;
    Ok(Json(paging.page(rows, |movement| movement.id)?))
}

/// What moves credit by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ByHandKind {
    /// Brings it.
    TopUp,
    /// Pays it out.
    Refund,
}

/// Credit to bring or to pay out.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MovementInput {
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    kind: ByHandKind,
    /// A number or decimal string above zero.
    #[schema(value_type = String)]
    amount: Price,
    /// The number of the transfer, or a reason.
    #[schema(value_type = String)]
    reference: ShortText,
    /// When what is left of a top-up is lost; never if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// What was moved, and what there is now. A top-up pays at once for usage that was kept; a refund takes from several
/// top-ups if it has to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moved {
    wallet: WalletView,
    movements: Vec<MovementView>,
}

/// `POST /api/admin/wallets/{id}/movements`: brings credit or pays it out.
pub(crate) async fn move_by_hand(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<WalletId>,
    Input(input): Input<MovementInput>,
) -> Result<(StatusCode, Json<Moved>)> {
    let (actor, listed) = seller.list(input.org_id, input.customer_id)?;
    let now = app.clock.now();
    let mut tx = app.db.begin(&actor).await?;
    let organization = one(&mut tx, listed, id).await?.org_id.into();
    let by_hand = ByHand {
        organization,
        wallet: id,
        amount: input.amount,
        reference: input.reference.into_inner(),
        expires_at: input.expires_at,
    };
    let (action, ids) = match input.kind {
        ByHandKind::TopUp => {
            let ids = ops::top_up(&mut tx, &by_hand, now).await?;
            ("wallet.topped_up", ids)
        }
        ByHandKind::Refund => {
            let ids = ops::refund(&mut tx, &by_hand, now).await?;
            ("wallet.refunded", ids)
        }
    };
    let moved = Moved {
        wallet: one(&mut tx, listed, id).await?,
        movements: read::movements(&mut tx, organization, id, Some(&ids), None, i64::MAX).await?,
    };
    let deed = Deed::new(organization, action, "wallet", id);
    audit::record(&mut tx, &actor, deed.after(&moved)?).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(moved)))
}
