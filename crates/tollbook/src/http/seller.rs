//! Who sells: the two sales have the same operations, and who calls decides which sale it is.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::payer::{Payer, PayerKind};

use super::caller::{Caller, Chosen, Principal, caller, not_admin, which_organization};
use crate::error::{Error, Result};

/// Whoever sells: an admin of an organization to its customers, the platform to organizations, or in the place of an
/// organization to its customers. Which organization it is about may also stand in the body.
#[derive(Debug, Clone)]
pub(crate) struct Seller {
    caller: Caller,
}

/// Whose things are asked for, in the query of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PayerFilter {
    /// An organization, which pays the platform unless a customer is named.
    pub(crate) org_id: Option<OrganizationId>,
    /// A customer, who pays the organization.
    pub(crate) customer_id: Option<CustomerId>,
}

/// One sale: who acts, in which organization, and who pays.
#[derive(Debug, Clone)]
pub(crate) struct Sale {
    pub(crate) actor: Actor,
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
}

impl Seller {
    /// The sale that the fields `orgId` and `customerId` of a body name.
    pub(crate) fn sale(
        &self,
        organization: Option<OrganizationId>,
        customer: Option<CustomerId>,
    ) -> Result<Sale> {
        let platform = self.caller.platform();
        let (actor, organization) = match (&platform, customer) {
            (Ok(actor), None) => (*actor, self.named(organization)?),
            (Ok(actor), Some(_)) => {
                let organization = self.named(organization)?;
                let user = actor.user();
                (Actor::Admin { organization, user }, organization)
            }
            (Err(_), Some(_)) => self.own(organization)?,
            (Err(_), None) => return Err(Error::invalid("customerId", "is required")),
        };
        Ok(Sale {
            actor,
            organization,
            payer: customer.map_or(Payer::Organization, Payer::Customer),
        })
    }

    /// Whose offers these are: an admin's own; for the platform its own, unless it names an organization.
    pub(crate) fn offers(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<(Actor, Option<OrganizationId>)> {
        let Ok(actor) = self.caller.platform() else {
            let (actor, organization) = self.own(organization)?;
            return Ok((actor, Some(organization)));
        };
        let user = actor.user();
        Ok(match organization {
            Some(organization) => (Actor::Admin { organization, user }, Some(organization)),
            None => (actor, None),
        })
    }

    /// What a list shows: of one payer, of a whole sale, or for the platform of its sale to all organizations.
    pub(crate) fn list(
        &self,
        organization: Option<OrganizationId>,
        customer: Option<CustomerId>,
    ) -> Result<(Actor, Listed)> {
        if let Ok(actor) = self.caller.platform() {
            if customer.is_none() {
                return Ok((actor, Listed::Organizations(organization)));
            }
            let (organization, user) = (self.named(organization)?, actor.user());
            let listed = Listed::Customers(organization, customer);
            return Ok((Actor::Admin { organization, user }, listed));
        }
        let (actor, organization) = self.own(organization)?;
        Ok((actor, Listed::Customers(organization, customer)))
    }

    /// The organization that the body names, or the request.
    fn named(&self, organization: Option<OrganizationId>) -> Result<OrganizationId> {
        match (organization, &self.caller.chosen) {
            (Some(organization), _) => Ok(organization),
            (None, Chosen::One(organization)) => Ok(organization.id),
            (None, Chosen::Unknown) => Err(Error::NotFound("organization")),
            (None, Chosen::None) => Err(which_organization(&self.caller.choices)),
        }
    }

    fn own(&self, named: Option<OrganizationId>) -> Result<(Actor, OrganizationId)> {
        let Some(named) = named else {
            return self.caller.admin();
        };
        if let Principal::User(user) = &self.caller.principal {
            let actor = user.actor_in(named);
            let actor = actor.ok_or(Error::NotFound("organization"))?;
            return if actor.administers(named) {
                Ok((actor, named))
            } else {
                Err(not_admin())
            };
        }
        let (actor, own) = self.caller.admin()?;
        if own == named {
            Ok((actor, own))
        } else {
            Err(Error::NotFound("organization"))
        }
    }
}

/// What a list of a sale shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// What the platform sells: to one organization, or to all.
    Organizations(Option<OrganizationId>),
    /// What an organization sells: to one customer, or to all.
    Customers(OrganizationId, Option<CustomerId>),
}

impl Listed {
    /// The organization that the rows belong to; `None`: all of them.
    pub(crate) fn organization(self) -> Option<OrganizationId> {
        match self {
            Self::Organizations(organization) => organization,
            Self::Customers(organization, _) => Some(organization),
        }
    }

    /// Who pays.
    pub(crate) fn payer(self) -> PayerKind {
        match self {
            Self::Organizations(_) => PayerKind::Organization,
            Self::Customers(..) => PayerKind::Customer,
        }
    }

    /// The customer, if it is about one.
    pub(crate) fn customer(self) -> Option<CustomerId> {
        match self {
            Self::Organizations(_) => None,
            Self::Customers(_, customer) => customer,
        }
    }
}

impl<T: Send + Sync> FromRequestParts<T> for Seller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self> {
        let caller = caller(parts)?;
        // Of several organizations the body may name one.
        let is_open = matches!(
            (&caller.principal, &caller.chosen),
            (Principal::User(_), Chosen::None)
        );
        if caller.platform().is_err() && !is_open {
            caller.admin()?;
        }
        Ok(Self {
            caller: caller.clone(),
        })
    }
}
