//! How customers are reached: numbers, notes, contacts.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::ids::{ContactId, CustomerId};
use uuid::Uuid;

use super::super::list::{self, Contact, CustomerNumber};
use super::super::{card, reach};
use super::{country, number};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::{OrgAdmin, OrgMember};
use crate::http::csv;
use crate::http::input::{Input, Params, Path};
use crate::http::list::{List, Paging};

/// `GET /api/customers/{id}/numbers`.
pub(crate) async fn list_numbers(
    State(app): State<App>,
    caller: OrgMember,
    Path(id): Path<CustomerId>,
) -> Result<Json<List<CustomerNumber>>> {
    let mut tx = app.db.begin(&caller.actor).await?;
    list::customer(&mut tx, caller.organization, id).await?;
    let data = list::numbers(&mut tx, caller.organization, id).await?;
    Ok(Json(List {
        data,
        next_cursor: None,
    }))
}

/// A number that a customer calls from.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NumberInput {
    /// In any spelling.
    phone_number: String,
    #[serde(default)]
    label: String,
}

/// `POST /api/customers/{id}/numbers`: theirs from now on, or for all time if nobody else had it.
pub(crate) async fn post_number(
    State(app): State<App>,
    caller: OrgAdmin,
    Path(id): Path<CustomerId>,
    Input(input): Input<NumberInput>,
) -> Result<(StatusCode, Json<CustomerNumber>)> {
    let organization = caller.organization;
    let mut tx = app.db.begin(&caller.actor).await?;
    let country = country(&mut tx, organization).await?;
    let number = number("phoneNumber", &input.phone_number, &country)?;
    let now = app.clock.now();
    let given = reach::give_number(&mut tx, organization, id, &number, &input.label, now).await?;
    let numbers = list::numbers(&mut tx, organization, id).await?;
    let number = numbers.into_iter().find(|it| it.id == given);
    let number = number.ok_or(Error::NotFound("number"))?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(number)))
}

/// `DELETE /api/customers/{id}/numbers/{numberId}`: no longer theirs.
pub(crate) async fn delete_number(
    State(app): State<App>,
    caller: OrgAdmin,
    Path((id, number)): Path<(CustomerId, Uuid)>,
) -> Result<StatusCode> {
    let mut tx = app.db.begin(&caller.actor).await?;
    reach::end_number(&mut tx, caller.organization, id, number, app.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A note.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoteDetail {
    id: Uuid,
    text: String,
    /// Who wrote it; empty when nobody did.
    author: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<card::CustomerNote> for NoteDetail {
    fn from(note: card::CustomerNote) -> Self {
        Self {
            id: note.id,
            text: note.body,
            author: note.author,
            created_at: note.created_at,
        }
    }
}

/// `GET /api/customers/{id}/notes`: newest first, at most 200.
pub(crate) async fn list_notes(
    State(app): State<App>,
    caller: OrgMember,
    Path(id): Path<CustomerId>,
) -> Result<Json<List<NoteDetail>>> {
    let mut tx = app.db.begin(&caller.actor).await?;
    list::customer(&mut tx, caller.organization, id).await?;
    let notes = card::notes(&mut tx, caller.organization, id).await?;
    Ok(Json(List {
        data: notes.into_iter().map(NoteDetail::from).collect(),
        next_cursor: None,
    }))
}

/// A note to write.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteInput {
    /// At most 4,000 characters.
    text: String,
}

/// `POST /api/customers/{id}/notes`: anyone at the phones writes them.
pub(crate) async fn post_note(
    State(app): State<App>,
    caller: OrgMember,
    Path(id): Path<CustomerId>,
    Input(input): Input<NoteInput>,
) -> Result<(StatusCode, Json<NoteDetail>)> {
    let mut tx = app.db.begin(&caller.actor).await?;
    let written = reach::add_note(&mut tx, caller.organization, id, &input.text).await?;
    let notes = card::notes(&mut tx, caller.organization, id).await?;
    let note = notes.into_iter().find(|it| it.id == written);
    let note = note.ok_or(Error::NotFound("note"))?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(note.into())))
}

/// What `GET /api/contacts` can be narrowed to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContactFilter {
    customer_id: Option<CustomerId>,
}

/// `GET /api/contacts`.
pub(crate) async fn list_contacts(
    State(app): State<App>,
    caller: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<ContactFilter>,
) -> Result<Response> {
    if csv::is_wanted(&headers) {
        return contacts_as_csv(app, caller, filter).await;
    }
    let mut tx = app.db.begin(&caller.actor).await?;
    let after: Option<ContactId> = paging.key()?;
    let (organization, customer) = (caller.organization, filter.customer_id);
    let rows = list::contacts(&mut tx, organization, customer, after, paging.rows()).await?;
    Ok(Json(paging.page(rows, |it| it.id)?).into_response())
}

/// All of the list.
async fn contacts_as_csv(app: App, caller: OrgMember, filter: ContactFilter) -> Result<Response> {
    const COLUMNS: [&str; 6] = ["id", "customerId", "name", "email", "role", "createdAt"];
    csv::stream("contacts", &COLUMNS, move |after: Option<ContactId>| {
        let (app, actor) = (app.clone(), caller.actor);
        let (organization, customer) = (caller.organization, filter.customer_id);
        async move {
            let mut tx = app.db.begin(&actor).await?;
            let rows = list::contacts(&mut tx, organization, customer, after, csv::CHUNK).await?;
            Ok(csv::Chunk::new(&rows, |it| it.id, cells))
        }
    })
    .await
}

fn cells(contact: &Contact) -> Vec<String> {
    vec![
        contact.id.to_string(),
        contact.customer_id.to_string(),
        contact.name.clone(),
        contact.email.clone().unwrap_or_default(),
        contact.role.clone(),
        contact.created_at.to_string(),
    ]
}

/// A person at a customer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ContactInput {
    name: String,
    email: Option<String>,
    #[serde(default)]
    role: String,
}

/// `POST /api/customers/{id}/contacts`.
pub(crate) async fn post_contact(
    State(app): State<App>,
    caller: OrgAdmin,
    Path(id): Path<CustomerId>,
    Input(input): Input<ContactInput>,
) -> Result<(StatusCode, Json<Contact>)> {
    let organization = caller.organization;
    let (name, email, role) = (input.name.trim(), input.email.as_deref(), input.role.trim());
    let mut tx = app.db.begin(&caller.actor).await?;
    let added = reach::add_contact(&mut tx, organization, id, name, email, role).await?;
    let contact = list::contact(&mut tx, organization, added).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(contact)))
}
