//! The event streams: documents for programs, elements for pages.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use jiff::SignedDuration;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;

use super::audience::{Audience, Form, Sharing, Standing, Ticket};
use super::mark::Mark;
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::{Caller, OrgMember, Principal};
use crate::http::frame::Frame;
use crate::http::input::Params;
use crate::http::sse;
use crate::pages::Section;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A stream that was opened with a token is closed after this time: the client comes back with a fresh one.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Deserialize)]
pub(crate) struct Resume {
    /// Where to go on, for a client that cannot set `Last-Event-ID`: a browser that opens its first stream.
    after: Option<String>,
}

/// `GET /api/events`
pub(crate) async fn events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    member: OrgMember,
    headers: HeaderMap,
    Params(resume): Params<Resume>,
) -> Result<Response> {
    serve(
        &app,
        &caller,
        &member,
        Form::Json,
        after(&headers, &resume)?,
    )
    .await
}

/// `GET /orgs/{orgId}/events`
pub(crate) async fn page_events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    member: OrgMember,
    frame: Frame,
    headers: HeaderMap,
    Params(resume): Params<Resume>,
) -> Result<Response> {
    let viewer = frame.page(Section::None).viewer;
    let form = Form::Page {
        language: viewer.text.tag(),
        zone: viewer.zone_name(),
    };
    serve(&app, &caller, &member, form, after(&headers, &resume)?).await
}

/// Where to go on. What the browser sends when it connects again is later than what the page was made with.
fn after(headers: &HeaderMap, resume: &Resume) -> Result<Option<Mark>> {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let (field, id) = match (last, resume.after.as_deref()) {
        (Some(id), _) if !id.is_empty() => ("Last-Event-ID", id),
        (_, Some(id)) if !id.is_empty() => ("after", id),
        _ => return Ok(None),
    };
    id.parse()
        .map(Some)
        .map_err(|e: super::mark::InvalidMark| Error::invalid(field, e.to_string()))
}

async fn serve(
    app: &App,
    caller: &Caller,
    member: &OrgMember,
    form: Form,
    after: Option<Mark>,
) -> Result<Response> {
    let OrgMember {
        actor,
        organization,
    } = member;
    let sharing = Sharing {
        organization: *organization,
        member: match actor {
            Actor::Member { user, .. } => Some(*user),
            Actor::Platform { .. } | Actor::Admin { .. } => None,
            Actor::Portal { .. } => {
                return Err(Error::forbidden(
                    "only a member of the organization may do this",
                ));
            }
        },
    };
    let ticket = ticket(app, caller, *organization)?;
    let stream = super::open(app, Audience { sharing, form }, ticket, after).await?;
    Ok(sse::response(stream))
}

fn ticket(app: &App, caller: &Caller, organization: OrganizationId) -> Result<Ticket> {
    let standing = match &caller.principal {
        Principal::Nobody(why) => return Err(Error::Unauthorized(why.as_str().to_owned())),
        Principal::User(user) if user.is_platform_admin => Standing::PlatformAdmin(user.id),
        Principal::User(user) => match user.actor_in(organization) {
            Some(Actor::Admin { .. }) => Standing::Admin(user.id),
            _ => Standing::Member(user.id),
        },
        Principal::Key(key) => Standing::Key(key.id),
        Principal::Service => Standing::Service,
    };
    let session = caller.session().map(|session| session.id);
    let has_token = matches!(caller.principal, Principal::User(_)) && session.is_none();
    let expires_at = app.clock.real().checked_add(TOKEN_LIFE).ok();
    Ok(Ticket {
        organization,
        standing,
        session,
        expires_at: expires_at.filter(|_| has_token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_heard_last_wins_over_what_the_page_was_made_with() {
        let resume = |after: &str| Resume {
            after: Some(after.to_owned()),
        };
        let mut headers = HeaderMap::new();
        assert_eq!(after(&headers, &Resume { after: None }).unwrap(), None);
        assert_eq!(after(&headers, &resume("5.1")).unwrap(), "5.1".parse().ok());
        headers.insert(LAST_EVENT_ID, "7.2".parse().unwrap());
        assert_eq!(after(&headers, &resume("5.1")).unwrap(), "7.2".parse().ok());
        headers.insert(LAST_EVENT_ID, "x".parse().unwrap());
        assert_eq!(
            after(&headers, &resume("5.1")).unwrap_err().to_string(),
            "`Last-Event-ID` is not an id of an event stream"
        );
    }
}
