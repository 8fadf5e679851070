//! The search page, and the results of the command palette.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::view::{SearchGroup, SearchHit, SearchPage};
use crate::app::App;
use crate::customers;
use crate::error::Result;
use crate::http::caller::OrgMember;
use crate::http::frame::Frame;
use crate::http::input::Params;
use crate::pages::Section;
use crate::pages::reply::page_or_fragment;

/// Hits that are shown of one kind: a palette is read at a glance.
const HITS_MAX: i64 = 8;

#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    q: String,
}

/// `GET /search`
pub(crate) async fn search(
    State(app): State<App>,
    caller: OrgMember,
    frame: Frame,
    headers: HeaderMap,
    Params(query): Params<Query>,
) -> Result<Response> {
    let page = frame.page(Section::None);
    let mut groups = Vec::new();
    if !query.q.trim().is_empty() {
        let mut tx = app.db.begin(&caller.actor).await?;
        let found = customers::find(&mut tx, caller.organization, &query.q, HITS_MAX).await?;
        let hits: Vec<SearchHit> = found
            .into_iter()
            .map(|customer| {
                let number = customer.phone_numbers.into_iter().next();
                let is_named = !customer.name.is_empty();
                SearchHit {
                    href: format!("/customers/{}", customer.id),
                    label: if is_named {
                        customer.name
                    } else {
                        number.clone().unwrap_or_default()
                    },
                    detail: number.filter(|_| is_named),
                }
            })
            .collect();
        if !hits.is_empty() {
            groups.push(SearchGroup {
                label: page.say("nav-customers").to_string(),
                hits,
            });
        }
    }
    let view = SearchPage {
        page,
        q: query.q,
        groups,
    };
    Ok(page_or_fragment(&view, &headers))
}
