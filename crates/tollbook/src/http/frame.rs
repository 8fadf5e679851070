//! The frame around a page: who looks, in which language, zone and colours.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollbook_core::actor::Actor;

use super::caller::{Caller, Chosen, Organization, Principal, User};
use super::cookies;
use crate::app::App;
use crate::error::Error;
use crate::pages::text::Text;
use crate::pages::time::Viewer;
use crate::pages::{Account, OrganizationChoice, Page, Role, Scheme, Section, role};

/// Makes the frames of the pages of one request.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    text: Text,
    scheme: Scheme,
    address: String,
    now: Timestamp,
    pace: u32,
    person: Option<Person>,
}

#[derive(Debug, Clone)]
struct Person {
    user: Arc<User>,
    organization: Option<Organization>,
    choices: Vec<Organization>,
}

impl Frame {
    /// For pages that anyone may see, and errors.
    pub(crate) fn without_account(app: &App, headers: &HeaderMap, uri: &Uri) -> Self {
        let language = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default();
        Self {
            text: Text::negotiate(language),
            scheme: Scheme::parse(cookies::read(headers, cookies::SCHEME).unwrap_or_default()),
            address: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), |it| it.as_str().to_owned()),
            now: app.clock.now(),
            pace: app.clock.speed(),
            person: None,
        }
    }

    /// The frame of a page in `section` of the navigation.
    pub(crate) fn page(&self, section: Section) -> Page {
        let session = self.person.as_ref().and_then(|it| it.user.session.as_ref());
        Page {
            viewer: Viewer {
                text: self.text,
                zone: self.zone(),
                now: self.now,
            },
            section,
            account: self.person.as_ref().map(|it| it.account(self.text)),
            csrf: session.map(|it| it.csrf_token.clone()).unwrap_or_default(),
            address: self.address.clone(),
            scheme: self.scheme,
            toast: None,
            pace: self.pace,
            alerts: 0,
        }
    }

    /// The person's own zone, else their organization's.
    fn zone(&self) -> TimeZone {
        let person = self.person.as_ref();
        let own = person.and_then(|it| it.user.zone.as_deref());
        let organizations = person.and_then(|it| Some(it.organization.as_ref()?.zone.as_str()));
        own.or(organizations)
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC)
    }
}

impl Person {
    fn account(&self, text: Text) -> Account {
        let user = &self.user;
        let current = self.organization.as_ref();
        let in_organization = current.and_then(|it| user.actor_in(it.id));
        let known = match in_organization {
            _ if user.is_platform_admin => Role::PlatformAdmin,
            Some(Actor::Admin { .. }) => Role::OrganizationAdmin,
            _ => Role::OrganizationMember,
        };
        let choice = |it: &Organization| OrganizationChoice {
            id: it.id.to_string(),
            name: it.name.clone(),
            is_current: current == Some(it),
        };
        let organizations = match self.choices.len() {
            0 | 1 => Vec::new(),
            _ => self.choices.iter().map(choice).collect(),
        };
        Account {
            name: if user.name.is_empty() {
                user.email.clone()
            } else {
                user.name.clone()
            },
            email: user.email.clone(),
            role: role(text, known),
            is_admin: known != Role::OrganizationMember,
            organization: current.map(|it| it.name.clone()).unwrap_or_default(),
            organizations,
            // Of the organization by name: tabs that work in different ones do not share a stream.
            stream: in_organization
                .and(current)
                .map(|it| format!("/orgs/{}/events", it.id))
                .unwrap_or_default(),
        }
    }
}

impl FromRequestParts<App> for Frame {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let person = match parts.extensions.get::<Caller>() {
            Some(Caller {
                principal: Principal::User(user),
                chosen,
                choices,
                ..
            }) => Some(Person {
                user: Arc::clone(user),
                organization: match chosen {
                    Chosen::One(organization) => Some(organization.clone()),
                    Chosen::Unknown | Chosen::None => None,
                },
                choices: choices.clone(),
            }),
            _ => None,
        };
        Ok(Self {
            person,
            ..Self::without_account(app, &parts.headers, &parts.uri)
        })
    }
}
