//! Credit notes for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CreditNoteId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::Price;

use super::issue::{self, NewNote, What};
use super::read::{self, Cursor, Note, Whole};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::input::{Input, Params, Path, ShortText};
use crate::http::list::{List, Paging};
use crate::http::seller::Seller;
use crate::invoices;

/// Lines that one credit note may name.
const LINES_MAX: usize = 500;

/// Whose credit notes, and of which invoice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
    customer_id: Option<CustomerId>,
    #[serde(rename = "invoiceId")]
    invoice: Option<InvoiceId>,
}

/// `GET /api/admin/credit-notes`: the latest first.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Note>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let (invoice, after) = (filter.invoice, paging.key()?);
    let rows = read::notes(&mut tx, listed, invoice, None, after, paging.rows()).await?;
    Ok(Json(paging.page(rows, |note| Cursor { id: note.id })?))
}

/// `GET /api/admin/credit-notes/{id}`: with its lines.
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<CreditNoteId>,
    Params(filter): Params<Filter>,
) -> Result<Json<Whole>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    Ok(Json(read::one(&mut tx, listed, id).await?))
}

/// A credit note to be: over an amount, over lines, or over all that is left of the invoice.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NoteInput {
    #[schema(value_type = String)]
    reason: ShortText,
    /// Tax included; spread over what is left of the lines and of their tax.
    #[schema(value_type = Option<String>)]
    amount: Option<Price>,
    lines: Option<Vec<LineInput>>,
}

/// A line that is given back; its tax comes with it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LineInput {
    /// On the invoice, from 1.
    position: i32,
    /// As the line is printed; all that is left of it if absent.
    #[schema(value_type = Option<String>)]
    amount: Option<Price>,
}

/// `POST /api/admin/invoices/{id}/credit-notes`: gives back an invoice or a part of it.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<InvoiceId>,
    Params(filter): Params<Filter>,
    Input(input): Input<NoteInput>,
) -> Result<(StatusCode, Json<Whole>)> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let what = what(&input)?;
    let mut seen = app.db.begin(&actor).await?;
    let (organization, payer) = invoices::whose(&mut seen, listed, id).await?;
    seen.rollback().await?;
    let new = NewNote {
        organization,
        payer,
        invoice: id,
        reason: input.reason.into_inner(),
        what,
    };
    // Numbers are the platform's to give; the invoice was seen with the caller's own rights.
    let user = actor.user();
    let mut tx = app.db.begin(&Actor::Platform { user }).await?;
    let note = issue::issue(&mut tx, &new, app.clock.now()).await?;
    let made = read::one(&mut tx, listed, note).await?;
    let deed = Deed::new(organization, "credit_note.issued", "credit_note", note);
    audit::record(&mut tx, &actor, deed.after(&made)?).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok((StatusCode::CREATED, Json(made)))
}

fn what(input: &NoteInput) -> Result<What> {
    match (&input.amount, &input.lines) {
        (None, None) => Ok(What::All),
        (Some(amount), None) => Ok(What::Amount(*amount)),
        (Some(_), Some(_)) => Err(Error::invalid("amount", "is not given beside lines")),
        (None, Some(lines)) if lines.len() > LINES_MAX => {
            let message = format!("must be at most {LINES_MAX}");
            Err(Error::invalid("lines", message))
        }
        (None, Some(lines)) => {
            let lines = lines.iter().map(|line| (line.position, line.amount));
            Ok(What::Lines(lines.collect()))
        }
    }
}
