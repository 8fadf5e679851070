//! Who is calling is a type: a handler that asks for [`OrgAdmin`] cannot run for anyone else.
//!
//! A middleware of `identity` reads the credentials and puts a [`Caller`] beside the request; the extractors here
//! decide from it alone, without I/O. The organization is the one in the path, else `X-Organization-Id`, else
//! `?orgId=`, else the one that the session keeps, else the only one there is.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{ApiKeyId, CustomerId, OrganizationId, SessionId, UserId};

use crate::error::{Error, Result};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing: anyone may call it.
    Public,
    /// A provider's signature, which the handler checks.
    Webhook,
    /// Any user.
    SignedIn,
    /// A member of an organization, or more.
    OrgMember,
    /// A user who is a member of an organization, or more; no key and no service.
    OrgUser,
    /// An admin of an organization, or more.
    OrgAdmin,
    /// A user of the customer portal.
    Portal,
    /// An API key with the scope that the handler names, or an admin of the organization, or the platform.
    Service,
    /// Who makes calls: a member of an organization, or more, or an API key with the scope `usage`.
    Dialer,
    /// An API key with that scope, or an admin, of the tenant that the body names, or the platform.
    TenantUsage,
    /// An admin, or an API key with all rights, of the tenant that the body names, or the platform.
    TenantAdmin,
    /// An admin of an organization, who sells to its customers, or the platform, which sells to organizations.
    Seller,
    /// A platform admin, or the platform's own service.
    Platform,
}

/// Somebody who signed in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
    /// The zone in which they read times; `None` means their organization's.
    pub(crate) zone: Option<String>,
    pub(crate) is_platform_admin: bool,
    pub(crate) memberships: Vec<Membership>,
    /// The customers whose portal they may see.
    pub(crate) portal: Vec<(Organization, CustomerId)>,
    /// The page session, if that is how they came.
    pub(crate) session: Option<Session>,
}

/// An organization, as much as every request needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) name: String,
    /// The zone of its business.
    pub(crate) zone: String,
}

/// A user's role in one organization.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) organization: Organization,
    pub(crate) is_admin: bool,
    pub(crate) may_buy_numbers: bool,
}

/// A signed-in browser.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) csrf_token: String,
    /// The organization that the person works in at the moment.
    pub(crate) organization: Option<OrganizationId>,
}

/// The holder of an API key.
#[derive(Debug, Clone)]
pub(crate) struct KeyHolder {
    pub(crate) id: ApiKeyId,
    pub(crate) organization: Organization,
    pub(crate) scopes: Vec<Scope>,
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Read what an admin of the organization may read.
    Read,
    /// Report usage.
    Usage,
    /// Everything that an admin of the organization may do.
    Admin,
}

impl Scope {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Usage, Self::Admin];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Usage => "usage",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Why the credentials of a request prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// There are none.
    Missing,
    /// No token of anybody that is believed, or not signed by them.
    BadToken,
    /// The token was good once.
    Expired,
    /// A key that everyone has.
    PublicKey,
    /// Not a bearer token.
    BadScheme,
    /// `x-user-id` from elsewhere, or without `--dev-auth`.
    NoDevAuth,
    /// `x-user-id` that is no id.
    BadUserId,
    /// Good credentials of somebody who is not known, or not any more.
    Unknown,
}

impl Nobody {
    /// For a person.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "sign in, or send a token or an API key",
            Self::BadToken => "the token is not valid",
            Self::Expired => "the token has expired",
            Self::PublicKey => "this key is no user; send a user's token",
            Self::BadScheme => "only bearer tokens are taken in `Authorization`",
            Self::NoDevAuth => "`x-user-id` is only taken on loopback and with `--dev-auth`",
            Self::BadUserId => "`x-user-id` is no id",
            Self::Unknown => "the credentials are not known or no longer valid",
        }
    }

    pub(super) fn error(self) -> Error {
        Error::Unauthorized(self.as_str().to_owned())
    }
}

/// What the credentials of a request prove.
#[derive(Debug, Clone)]
pub(crate) enum Principal {
    /// Nothing, and why.
    Nobody(Nobody),
    /// A user.
    User(Arc<User>),
    /// An API key.
    Key(Arc<KeyHolder>),
    /// The platform's own service.
    Service,
}

/// The organization that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// This one, which exists; whether the caller may act in it is for the extractor to say.
    One(Organization),
    /// One that does not exist, or is none of the caller's.
    Unknown,
    /// None was named, and the caller does not have exactly one.
    None,
}

/// Who calls, and about which organization.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) chosen: Chosen,
    /// The organizations that the caller may choose among; of a platform admin's only the first ones.
    pub(crate) choices: Vec<Organization>,
    /// Whether the request only reads.
    pub(crate) is_read: bool,
}

impl Caller {
    /// Text that is equal for equal callers: for limits, idempotency keys and logs.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.principal {
            Principal::Nobody(_) => None,
            Principal::User(user) => Some(format!("user:{}", user.id)),
            Principal::Key(key) => Some(format!("key:{}", key.id)),
            Principal::Service => Some("service".to_owned()),
        }
    }

    /// The session, if the caller came with its cookie.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.principal {
            Principal::User(user) => user.session.as_ref(),
            Principal::Nobody(_) | Principal::Key(_) | Principal::Service => None,
        }
    }

    pub(super) fn platform(&self) -> Result<Actor> {
        match &self.principal {
            Principal::Service => Ok(Actor::system()),
            Principal::User(user) if user.is_platform_admin => Ok(Actor::Platform {
                user: Some(user.id),
            }),
            Principal::User(_) | Principal::Key(_) => {
                Err(Error::forbidden("only a platform admin may do this"))
            }
            Principal::Nobody(why) => Err(why.error()),
        }
    }

    fn user(&self) -> Result<Arc<User>> {
        match &self.principal {
            Principal::User(user) => Ok(Arc::clone(user)),
            Principal::Key(_) | Principal::Service => {
                Err(Error::forbidden("only a user may do this"))
            }
            Principal::Nobody(why) => Err(why.error()),
        }
    }

    /// The caller as an actor within the organization of the request, whatever the role there.
    fn within(&self) -> Result<(Actor, OrganizationId)> {
        if let Principal::Nobody(why) = &self.principal {
            return Err(why.error());
        }
        let organization = match &self.chosen {
            Chosen::One(organization) => organization.id,
            Chosen::Unknown => return Err(Error::NotFound("organization")),
            Chosen::None => return Err(which_organization(&self.choices)),
        };
        let actor = match &self.principal {
            Principal::Service => Some(Actor::organization_system(organization)),
            Principal::Key(key) => (key.organization.id == organization)
                .then(|| Actor::organization_system(organization)),
            Principal::User(user) => user.actor_in(organization),
            Principal::Nobody(_) => None,
        };
        actor
            .map(|actor| (actor, organization))
            .ok_or(Error::NotFound("organization"))
    }

    pub(super) fn check_scope(&self, needed: Scope) -> Result<()> {
        match &self.principal {
            Principal::Key(key) => key.check(needed),
            Principal::Nobody(_) | Principal::User(_) | Principal::Service => Ok(()),
        }
    }

    fn member(&self) -> Result<(Actor, OrganizationId)> {
        let needed = if self.is_read {
            Scope::Read
        } else {
            Scope::Admin
        };
        self.check_scope(needed)?;
        self.member_of()
    }

    fn member_of(&self) -> Result<(Actor, OrganizationId)> {
        let (actor, organization) = self.within()?;
        match actor {
            Actor::Portal { .. } => Err(Error::forbidden(
                "only a member of the organization may do this",
            )),
            _ => Ok((actor, organization)),
        }
    }

    /// A key that may report usage may also ask for calls; one that may only read may look at them.
    fn dialer(&self) -> Result<(Actor, OrganizationId)> {
        if !self.is_read || self.check_scope(Scope::Read).is_err() {
            self.check_scope(Scope::Usage)?;
        }
        self.member_of()
    }

    pub(super) fn admin(&self) -> Result<(Actor, OrganizationId)> {
        let (actor, organization) = self.member()?;
        if actor.administers(organization) {
            Ok((actor, organization))
        } else {
            Err(not_admin())
        }
    }
}

pub(super) fn not_admin() -> Error {
    Error::forbidden("only an admin of the organization may do this")
}

impl Membership {
    /// The role's name.
    pub(crate) const fn role(&self) -> &'static str {
        if self.is_admin {
            "org_admin"
        } else {
            "org_member"
        }
    }
}

impl User {
    /// What the user is in an organization; `None` if nothing.
    pub(crate) fn actor_in(&self, organization: OrganizationId) -> Option<Actor> {
        if self.is_platform_admin {
            return Some(Actor::Admin {
                organization,
                user: Some(self.id),
            });
        }
        let membership = self
            .memberships
            .iter()
            .find(|it| it.organization.id == organization);
        match membership {
            Some(membership) if membership.is_admin => Some(Actor::Admin {
                organization,
                user: Some(self.id),
            }),
            Some(membership) => Some(Actor::Member {
                organization,
                user: self.id,
                may_buy_numbers: membership.may_buy_numbers,
            }),
            None => {
                let portal = self.portal.iter().find(|it| it.0.id == organization);
                portal.map(|(_, customer)| Actor::Portal {
                    organization,
                    customer: *customer,
                    user: Some(self.id),
                })
            }
        }
    }
}

impl KeyHolder {
    fn check(&self, needed: Scope) -> Result<()> {
        if self.scopes.contains(&needed) || self.scopes.contains(&Scope::Admin) {
            Ok(())
        } else {
            Err(Error::forbidden(format!(
                "this key lacks the scope `{}`",
                needed.as_str()
            )))
        }
    }
}

/// 422 with the choices.
pub(super) fn which_organization(choices: &[Organization]) -> Error {
    let message = if choices.is_empty() {
        "is needed, but you belong to no organization".to_owned()
    } else {
        let list: Vec<_> = choices
            .iter()
            .map(|it| format!("{} ({})", it.id, it.name))
            .collect();
        format!("is needed, one of: {}", list.join(", "))
    };
    Error::invalid("orgId", message)
}

/// A platform admin, or the platform's own service.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) actor: Actor,
}

/// An admin of the organization, a platform admin acting in it, or an API key for it.
#[derive(Debug, Clone)]
pub(crate) struct OrgAdmin {
    pub(crate) actor: Actor,
    pub(crate) organization: OrganizationId,
}

/// A member of the organization, or more; `actor` tells which.
#[derive(Debug, Clone)]
pub(crate) struct OrgMember {
    pub(crate) actor: Actor,
    pub(crate) organization: OrganizationId,
}

/// Any user.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    pub(crate) user: Arc<User>,
}

/// Who makes calls: a member of the organization, or more, or a program that reports usage for it. A member makes them
/// from numbers that are assigned to them.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) actor: Actor,
    pub(crate) organization: OrganizationId,
}

/// A program that reports for an organization: an API key with the scope `S`, or an admin, or the platform.
#[derive(Debug, Clone)]
pub(crate) struct Service<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

/// A scope that a handler names in its signature: `Service<UsageScope>`.
pub(crate) trait NamedScope: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
}

/// Reporting usage.
#[derive(Debug, Clone)]
pub(crate) struct UsageScope;

impl NamedScope for UsageScope {
    const SCOPE: Scope = Scope::Usage;
}

/// Everything that an admin may do.
#[derive(Debug, Clone)]
pub(crate) struct AdminScope;

impl NamedScope for AdminScope {
    const SCOPE: Scope = Scope::Admin;
}

impl<S> Service<S> {
    /// The organization to act for, and as whom: the one that the body names, which only the platform may choose
    /// freely, else the request's.
    pub(crate) fn for_organization(
        &self,
        named: Option<OrganizationId>,
    ) -> Result<(Actor, OrganizationId)> {
        let Some(named) = named else {
            return self.caller.within();
        };
        if self.caller.platform().is_ok() {
            return Ok((Actor::organization_system(named), named));
        }
        let (actor, own) = self.caller.within()?;
        if own == named {
            Ok((actor, own))
        } else {
            Err(Error::NotFound("organization"))
        }
    }
}

pub(super) fn caller(parts: &Parts) -> Result<&Caller> {
    // A route without the middleware is a mistake of ours, and answers nobody.
    parts
        .extensions
        .get::<Caller>()
        .ok_or_else(|| Error::Internal("a route asks who calls without being told".to_owned()))
}

/// Whether a method only reads.
pub(crate) fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

macro_rules! extract {
    ($name:ty, |$caller:ident| $body:expr) => {
        impl<T: Send + Sync> FromRequestParts<T> for $name {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self> {
                let $caller = caller(parts)?;
                $body
            }
        }
    };
}

extract!(Platform, |caller| Ok(Self {
    actor: caller.platform()?
}));
extract!(SignedIn, |caller| Ok(Self {
    user: caller.user()?
}));
extract!(OrgAdmin, |caller| {
    let (actor, organization) = caller.admin()?;
    Ok(Self {
        actor,
        organization,
    })
});
extract!(OrgMember, |caller| {
    let (actor, organization) = caller.member()?;
    Ok(Self {
        actor,
        organization,
    })
});
extract!(Dialer, |caller| {
    let (actor, organization) = caller.dialer()?;
    Ok(Self {
        actor,
        organization,
    })
});
impl<S: NamedScope, T: Send + Sync> FromRequestParts<T> for Service<S> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self> {
        let caller = caller(parts)?;
        caller.check_scope(S::SCOPE)?;
        // The platform may name the organization in the body, or in each item of it.
        if caller.platform().is_err() {
            let (actor, organization) = caller.within()?;
            if !actor.administers(organization) {
                return Err(not_admin());
            }
        }
        Ok(Self {
            caller: caller.clone(),
            scope: PhantomData,
        })
    }
}
