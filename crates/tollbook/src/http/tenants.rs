//! Whoever may act for a tenant that only the body of a request names: clients of older systems know no organization
//! of ours beforehand.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, UserId};

use super::caller::{Caller, NamedScope, Nobody, Principal, Scope, caller};
use super::dialect::Dialect;
use super::problem::Problem;
use crate::error::{Error, Result};

/// Whoever may act for some tenant, which the body names.
#[derive(Debug, Clone)]
pub(crate) struct TenantCaller {
    /// The caller as an admin of each organization of theirs.
    own: Vec<Actor>,
    /// The platform, which may act for any.
    platform: Option<Actor>,
}

/// The same, after a check that an API key has the scope `S`.
#[derive(Debug, Clone)]
pub(crate) struct Tenants<S> {
    pub(crate) caller: TenantCaller,
    scope: PhantomData<S>,
}

impl TenantCaller {
    /// The platform itself.
    pub(crate) const fn system() -> Self {
        Self {
            own: Vec::new(),
            platform: Some(Actor::system()),
        }
    }

    /// The platform, if it calls.
    pub(crate) fn platform(&self) -> Option<Actor> {
        self.platform
    }

    /// The caller as an admin of each organization of theirs; empty for the platform, which may act for any.
    pub(crate) fn own(&self) -> &[Actor] {
        &self.own
    }

    /// The person who calls.
    pub(crate) fn user(&self) -> Option<UserId> {
        self.platform.iter().chain(&self.own).find_map(Actor::user)
    }

    /// The caller, to act for `organization`; `None` if they may not.
    pub(crate) fn actor_for(&self, organization: OrganizationId) -> Option<Actor> {
        let mut own = self.own.iter().copied();
        self.platform
            .or_else(|| own.find(|it| it.administers(organization)))
    }

    fn of(caller: &Caller, needed: Scope) -> Result<Self> {
        caller.check_scope(needed)?;
        let platform = caller.platform().ok();
        let own = match &caller.principal {
            Principal::Key(key) => vec![Actor::organization_system(key.organization.id)],
            Principal::User(user) if platform.is_none() => {
                let admin = user.memberships.iter().filter(|it| it.is_admin);
                admin
                    .filter_map(|it| user.actor_in(it.organization.id))
                    .collect()
            }
            Principal::User(_) | Principal::Service | Principal::Nobody(_) => Vec::new(),
        };
        if platform.is_none() && own.is_empty() {
            return Err(Error::forbidden(
                "only an admin of the organization may do this",
            ));
        }
        Ok(Self { own, platform })
    }
}

impl<S: NamedScope, T: Send + Sync> FromRequestParts<T> for Tenants<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self, Problem> {
        let caller = caller(parts).map_err(|error| Problem::from(&error))?;
        if let Principal::Nobody(why) = &caller.principal {
            let problem = Problem::from(&why.error());
            return Err(match Dialect::of(parts.uri.path()) {
                Dialect::Rest => as_postgrest(*why, problem),
                Dialect::Problem | Dialect::Function => problem,
            });
        }
        let caller = TenantCaller::of(caller, S::SCOPE);
        Ok(Self {
            caller: caller.map_err(|error| Problem::from(&error))?,
            scope: PhantomData,
        })
    }
}

/// As PostgREST tells of it.
fn as_postgrest(why: Nobody, problem: Problem) -> Problem {
    let code = match why {
        Nobody::BadToken | Nobody::Unknown => "PGRST301",
        Nobody::Expired => "PGRST303",
        Nobody::Missing
        | Nobody::PublicKey
        | Nobody::BadScheme
        | Nobody::NoDevAuth
        | Nobody::BadUserId => "PGRST302",
    };
    let detail = match why {
        Nobody::Expired => "JWT expired".to_owned(),
        _ => problem.detail,
    };
    Problem {
        code,
        detail,
        ..problem
    }
}
