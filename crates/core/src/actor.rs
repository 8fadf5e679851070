//! Who acts: every transaction begins with an actor, and its role becomes the database role.

use serde::{Deserialize, Serialize};

use crate::ids::{CustomerId, OrganizationId, UserId};
use crate::named::named;

named! {
    /// What a caller may be, from the most to the least powerful.
    Role("role") {
        /// Runs the installation; may do in any organization what its admin may.
        PlatformAdmin = "platform_admin",
        /// Runs one organization.
        OrgAdmin = "org_admin",
        /// Works in one organization and sees their own communications.
        OrgMember = "org_member",
        /// Belongs to a customer and sees only that customer.
        Portal = "portal",
    }
}

/// Who acts, and within which boundary. `user` is absent when a service or the machine itself acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Actor {
    /// The platform, across organizations.
    Platform {
        /// The platform admin, if a person.
        user: Option<UserId>,
    },
    /// An admin of an organization, or a service acting for it.
    Admin {
        /// The boundary.
        organization: OrganizationId,
        /// The admin, if a person.
        user: Option<UserId>,
    },
    /// A member of an organization.
    Member {
        /// The boundary.
        organization: OrganizationId,
        /// The member.
        user: UserId,
        /// Whether the membership allows them to buy phone numbers; off by default.
        may_buy_numbers: bool,
    },
    /// A user of the customer portal, or the holder of a portal link.
    Portal {
        /// The organization that the customer pays.
        organization: OrganizationId,
        /// The boundary.
        customer: CustomerId,
        /// The portal user, if signed in.
        user: Option<UserId>,
    },
}

impl Actor {
    /// The platform itself: workers, the scheduler, sign-in.
    pub const fn system() -> Self {
        Self::Platform { user: None }
    }

    /// The machine acting within one organization.
    pub const fn organization_system(organization: OrganizationId) -> Self {
        Self::Admin {
            organization,
            user: None,
        }
    }

    /// The product role.
    pub const fn role(&self) -> Role {
        match self {
            Self::Platform { .. } => Role::PlatformAdmin,
            Self::Admin { .. } => Role::OrgAdmin,
            Self::Member { .. } => Role::OrgMember,
            Self::Portal { .. } => Role::Portal,
        }
    }

    /// The database role that a transaction of this actor assumes.
    pub const fn db_role(&self) -> &'static str {
        match self {
            Self::Platform { .. } => "tollbook_platform",
            Self::Admin { .. } => "tollbook_admin",
            Self::Member { .. } => "tollbook_member",
            Self::Portal { .. } => "tollbook_portal",
        }
    }

    /// The organization that the actor is confined to; `None` for the platform.
    pub const fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::Platform { .. } => None,
            Self::Admin { organization, .. }
            | Self::Member { organization, .. }
            | Self::Portal { organization, .. } => Some(*organization),
        }
    }

    /// The person who acts, if one does.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Platform { user } | Self::Admin { user, .. } | Self::Portal { user, .. } => *user,
            Self::Member { user, .. } => Some(*user),
        }
    }

    /// The customer that the actor is confined to.
    pub const fn customer(&self) -> Option<CustomerId> {
        match self {
            Self::Portal { customer, .. } => Some(*customer),
            Self::Platform { .. } | Self::Admin { .. } | Self::Member { .. } => None,
        }
    }

    /// Whether the actor may do what an admin of `organization` may.
    pub fn administers(&self, organization: OrganizationId) -> bool {
        match self {
            Self::Platform { .. } => true,
            Self::Admin {
                organization: own, ..
            } => *own == organization,
            Self::Member { .. } | Self::Portal { .. } => false,
        }
    }

    /// Whether the actor may buy phone numbers.
    pub const fn may_buy_numbers(&self) -> bool {
        match self {
            Self::Platform { .. } | Self::Admin { .. } => true,
            Self::Member {
                may_buy_numbers, ..
            } => *may_buy_numbers,
            Self::Portal { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn organization(n: u128) -> OrganizationId {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn an_admin_administers_only_their_organization() {
        let admin = Actor::organization_system(organization(1));
        assert!(admin.administers(organization(1)));
        assert!(!admin.administers(organization(2)));
        assert!(Actor::system().administers(organization(2)));
        assert_eq!(admin.db_role(), "tollbook_admin");
        assert_eq!(Actor::system().organization(), None);
    }

    #[test]
    fn members_buy_numbers_only_when_permitted_and_portal_users_never() {
        let user = Uuid::from_u128(7).into();
        let member = |may_buy_numbers| Actor::Member {
            organization: organization(1),
            user,
            may_buy_numbers,
        };
        let portal = Actor::Portal {
            organization: organization(1),
            customer: Uuid::from_u128(3).into(),
            user: Some(user),
        };
        assert!(member(true).may_buy_numbers());
        assert!(!member(false).may_buy_numbers());
        assert!(!member(true).administers(organization(1)));
        assert!(!portal.may_buy_numbers());
        assert_eq!((portal.user(), portal.role()), (Some(user), Role::Portal));
    }
}
