-- Who exists: organizations, users, and how they sign in.
-- Every tenant table has the key (organization_id, id), and every reference between tenant tables is composite,
-- so the database itself refuses a row that points into another organization.

create extension if not exists btree_gist;

-- Column defaults read who is acting from the transaction's settings; empty means nobody.
create function acting_organization_id() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('tollbook.organization_id', true), '')::uuid;
create function acting_user_id() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('tollbook.user_id', true), '')::uuid;

create table organizations (
    id uuid primary key,
    name text not null check (name <> ''),
    external_key text not null check (external_key <> ''),
    country text not null default 'US' check (country ~ '^[A-Z]{2}$'),
    zone text not null default 'UTC',
    currency text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    livemode boolean not null default true,
    clock_offset interval not null default '0',
    rounding text not null default 'half_up' check (rounding in ('half_up', 'half_even')),
    invoice_grace interval not null default '1 hour' check (invoice_grace >= '0'),
    payment_terms_days integer not null default 14 check (payment_terms_days between 0 and 365),
    -- Pay-per-call usage is gathered by calendar month, or invoiced when the call ends.
    pay_per_call_invoicing text not null default 'monthly' check (pay_per_call_invoicing in ('monthly', 'per_call')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint organizations_external_key_key unique (external_key)
);
comment on table organizations is 'A tenant. The platform sells to it, and it sells to its customers. A test organization (livemode = false) may have a clock offset to rehearse a close.';

create table users (
    id uuid primary key,
    email text not null check (email = lower(email) and position('@' in email) > 1),
    name text not null default '',
    password_hash text,
    platform_admin boolean not null default false,
    zone text,
    -- The organizations of the user's memberships, kept by a trigger: policies contain no subqueries.
    organization_ids uuid[] not null default '{}',
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    constraint users_email_key unique (email)
);
comment on table users is 'A person who signs in. Belongs to no organization by itself.';

create table memberships (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    user_id uuid not null references users (id),
    role text not null check (role in ('org_admin', 'org_member')),
    may_buy_numbers boolean not null default false,
    -- The user's id at the provider (an OpenPhone `US…`), so that "who answered" is known.
    provider_user_sid text,
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id)
);
create index memberships_user_id_idx on memberships (user_id);
create unique index memberships_provider_user_sid_key on memberships (organization_id, provider_user_sid) where provider_user_sid is not null;
comment on table memberships is 'One role of one user in one organization.';

create table sessions (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    token_digest bytea not null check (length(token_digest) = 32),
    csrf_token text not null,
    organization_id uuid references organizations (id),
    user_agent text not null default '',
    created_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint sessions_token_digest_key unique (token_digest)
);
create index sessions_user_id_idx on sessions (user_id);
create index sessions_expires_at_idx on sessions (expires_at);
comment on table sessions is 'A signed-in browser. Only a digest of its cookie is kept.';

create table refresh_families (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create index refresh_families_user_id_idx on refresh_families (user_id);
comment on table refresh_families is 'All refresh tokens that descend from one sign-in. Reuse of an old one revokes the family.';

create table refresh_tokens (
    digest bytea primary key check (length(digest) = 32),
    family_id uuid not null references refresh_families (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index refresh_tokens_family_id_idx on refresh_tokens (family_id);
comment on table refresh_tokens is 'Refresh tokens by digest; each is used once.';

create table api_keys (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    name text not null check (name <> ''),
    digest bytea not null check (length(digest) = 32),
    -- The first characters, to tell keys apart in a list.
    prefix text not null,
    scopes text[] not null check (scopes <> '{}'),
    created_by uuid default acting_user_id() references users (id),
    created_at timestamptz not null default now(),
    used_at timestamptz,
    revoked_at timestamptz,
    primary key (organization_id, id),
    constraint api_keys_digest_key unique (digest)
);
comment on table api_keys is 'A secret that acts for an organization within its scopes. Only a digest is kept.';

-- The platform is the seller with the nil id; an organization sells under its own id.
create table sellers (
    id uuid primary key,
    organization_id uuid references organizations (id),
    invoice_prefix text not null check (invoice_prefix ~ '^[A-Z0-9]{1,12}$'),
    number_year integer not null default 0 check (number_year >= 0),
    next_number bigint not null default 1 check (next_number > 0),
    constraint sellers_organization_id_key unique nulls not distinct (organization_id),
    constraint sellers_id_check check (id = coalesce(organization_id, '00000000-0000-0000-0000-000000000000'))
);
insert into sellers (id, organization_id, invoice_prefix) values ('00000000-0000-0000-0000-000000000000', null, 'TB');
comment on table sellers is 'Who issues invoices: the platform (nil id) and each organization. Holds the next invoice number of the year, taken in the last short transaction.';
