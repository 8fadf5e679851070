//! Turns credentials into a [`Caller`], and says about which organization a request is.

use std::sync::Arc;

use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, Method};
use tollbook_core::ids::OrganizationId;

use super::credentials::{self, Named};
use super::{keys, sql};
use crate::app::App;
use crate::error::Result;
use crate::http::caller::{Access, Caller, Chosen, Nobody, Organization, Principal, User, is_read};
use crate::http::context;

const ORGANIZATION: HeaderName = HeaderName::from_static("x-organization-id");

/// Recognizes the caller and puts it beside the request; refusing is for the route's own extractor.
pub(crate) async fn identify(
    app: &App,
    access: Access,
    path: &RawPathParams,
    request: &mut Request,
) -> Result<()> {
    let named = named_organization(path, request);
    let (method, headers) = (request.method(), request.headers());
    let caller = recognize(app, access, named.as_deref(), method, headers).await?;
    if let (Some(context), Some(name)) = (context::current(), caller.name()) {
        // Set once per request; nobody else sets it.
        let _ = context.principal.set(name);
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The organization as the request names it: in the path, else in the header, else as `?orgId=`.
fn named_organization(path: &RawPathParams, request: &Request) -> Option<String> {
    let in_path = path
        .iter()
        .find(|(name, _)| *name == "orgId")
        .map(|(_, value)| value.to_owned());
    let in_header = || {
        let value = request.headers().get(ORGANIZATION)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let in_query = || {
        let query = request.uri().query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, value)| (name == "orgId" || name == "org_id") && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    };
    in_path.or_else(in_header).or_else(in_query)
}

async fn recognize(
    app: &App,
    access: Access,
    named: Option<&str>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller> {
    let principal = principal(app, credentials::read(app, headers).await?).await?;
    let needs_organization = match access {
        Access::OrgMember
        | Access::OrgUser
        | Access::OrgAdmin
        | Access::Portal
        | Access::Service
        | Access::Dialer
        | Access::Seller
        // It may be told by the body, but pages are framed by it.
        | Access::TenantAdmin => true,
        Access::Public
        | Access::Webhook
        | Access::SignedIn
        | Access::TenantUsage
        | Access::Platform => false,
    };
    let (chosen, choices) = if needs_organization {
        choose(app, &principal, named).await?
    } else {
        (Chosen::None, Vec::new())
    };
    Ok(Caller {
        principal,
        chosen,
        choices,
        is_read: is_read(method),
    })
}

async fn principal(app: &App, named: Named) -> Result<Principal> {
    let found = match named {
        Named::Nobody(why) => return Ok(Principal::Nobody(why)),
        Named::Service => Some(Principal::Service),
        Named::Key(digest) => keys::holder(app, digest).await?.map(Principal::Key),
        Named::User(id) => sql::user(&app.db, id)
            .await?
            .map(|it| Principal::User(Arc::new(it))),
        Named::Session(digest) => super::sessions::user(app, &digest)
            .await?
            .map(|it| Principal::User(Arc::new(it))),
    };
    // A valid token of somebody whom we do not know is worth no more than none.
    Ok(found.unwrap_or(Principal::Nobody(Nobody::Unknown)))
}

/// The organization of the request, and the choices there are.
async fn choose(
    app: &App,
    principal: &Principal,
    named: Option<&str>,
) -> Result<(Chosen, Vec<Organization>)> {
    let user = match principal {
        Principal::Nobody(_) => return Ok((Chosen::None, Vec::new())),
        Principal::Key(key) => {
            let own = key.organization.clone();
            return Ok((among(named, None, std::slice::from_ref(&own)), vec![own]));
        }
        Principal::User(user) if !user.is_platform_admin => {
            let own = user.organizations();
            return Ok((among(named, user.chosen(), &own), own));
        }
        Principal::User(user) => Some(user),
        Principal::Service => None,
    };
    let choices = sql::first_organizations(&app.db).await?;
    let wanted = match named {
        Some(text) => match text.parse() {
            Ok(id) => Some(id),
            Err(_) => return Ok((Chosen::Unknown, choices)),
        },
        None => user.and_then(|it| it.chosen()),
    };
    let chosen = if let Some(id) = wanted {
        let organization = sql::organization(&app.db, id).await?;
        organization.map_or(Chosen::Unknown, Chosen::One)
    } else {
        let own = user.map(|it| it.organizations()).unwrap_or_default();
        match among(None, None, &own) {
            Chosen::None => among(None, None, &choices),
            only => only,
        }
    };
    Ok((chosen, choices))
}

/// The one that is named, else the one worked in so far, else the only one.
fn among(named: Option<&str>, so_far: Option<OrganizationId>, own: &[Organization]) -> Chosen {
    let find = |id: OrganizationId| own.iter().find(|it| it.id == id).cloned();
    if let Some(text) = named {
        let found = text.parse().ok().and_then(find);
        return found.map_or(Chosen::Unknown, Chosen::One);
    }
    match (so_far.and_then(find), own) {
        (Some(organization), _) => Chosen::One(organization),
        (None, [only]) => Chosen::One(only.clone()),
        (None, _) => Chosen::None,
    }
}

impl User {
    /// Where the user is a member or a portal user, each once.
    pub(crate) fn organizations(&self) -> Vec<Organization> {
        let mut all: Vec<Organization> = Vec::new();
        let memberships = self.memberships.iter().map(|it| &it.organization);
        for organization in memberships.chain(self.portal.iter().map(|it| &it.0)) {
            if !all.contains(organization) {
                all.push(organization.clone());
            }
        }
        all
    }

    /// The organization that the session keeps.
    fn chosen(&self) -> Option<OrganizationId> {
        self.session.as_ref()?.organization
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn organization(n: u128) -> Organization {
        Organization {
            id: Uuid::from_u128(n).into(),
            name: format!("No. {n}"),
            zone: "UTC".to_owned(),
        }
    }

    #[test]
    fn the_named_one_wins_then_the_session_then_the_only_one() {
        let two = [organization(1), organization(2)];
        let id = |n: u128| Uuid::from_u128(n).to_string();
        let second = Chosen::One(organization(2));
        let so_far = Some(organization(1).id);
        assert_eq!(among(Some(&id(2)), so_far, &two), second);
        assert_eq!(among(None, so_far, &two), Chosen::One(organization(1)));
        assert_eq!(among(None, None, &two[..1]), Chosen::One(organization(1)));
        assert_eq!(among(None, None, &two), Chosen::None);
    }

    #[test]
    fn a_foreign_or_malformed_one_is_unknown_and_never_replaced() {
        let own = [organization(1)];
        for named in ["x", "", &Uuid::from_u128(9).to_string()] {
            assert_eq!(
                among(Some(named), Some(own[0].id), &own),
                Chosen::Unknown,
                "{named}"
            );
        }
    }

    #[test]
    fn a_session_in_an_organization_that_was_left_falls_back() {
        let own = [organization(1)];
        assert_eq!(
            among(None, Some(organization(9).id), &own),
            Chosen::One(organization(1))
        );
    }
}
