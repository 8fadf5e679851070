-- Numbers, who holds them and when; the customers who call them.

create table integrations (
    id uuid primary key,
    organization_id uuid default acting_organization_id() references organizations (id),
    provider text not null check (provider in ('openphone', 'twilio', 'mightycall', 'stripe', 'quickbooks', 'gmail', 'smtp')),
    name text not null default '',
    base_url text,
    -- AES-256-GCM: nonce and ciphertext of a JSON document. The key is kept outside the database.
    credentials bytea,
    settings jsonb not null default '{}',
    active boolean not null default true,
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint integrations_organization_id_id_key unique (organization_id, id)
);
create index integrations_provider_idx on integrations (provider) where active;
comment on table integrations is 'A configured account at a provider: an organization''s own, or (without organization) the platform''s.';

create table phone_numbers (
    id uuid primary key,
    e164 text collate "C" not null check (e164 ~ '^\+[1-9][0-9]{4,14}$'),
    provider text not null,
    provider_number_sid text collate "C",
    integration_id uuid references integrations (id),
    -- Who holds it now, and which members may use it: kept by triggers on mappings and assignments.
    organization_id uuid references organizations (id),
    viewer_ids uuid[] not null default '{}',
    label text not null default '',
    country text check (country ~ '^[A-Z]{2}$'),
    capabilities text[] not null default '{voice,sms}',
    active boolean not null default true,
    created_at timestamptz not null default now(),
    synced_at timestamptz,
    released_at timestamptz,
    constraint phone_numbers_e164_key unique (e164)
);
create index phone_numbers_organization_id_idx on phone_numbers (organization_id, e164);
create unique index phone_numbers_provider_number_sid_key on phone_numbers (provider, provider_number_sid) where provider_number_sid is not null;
comment on table phone_numbers is 'A number (DID) known to the platform, once, whoever holds it now.';

create table number_mappings (
    id uuid primary key,
    phone_number_id uuid not null references phone_numbers (id),
    organization_id uuid not null default acting_organization_id() references organizations (id),
    number_type text not null default 'both' check (number_type in ('voice', 'sms', 'both')),
    starts_at timestamptz not null default now(),
    ends_at timestamptz,
    metadata jsonb not null default '{}',
    created_by uuid default acting_user_id() references users (id),
    created_at timestamptz not null default now(),
    constraint number_mappings_period_check check (ends_at is null or ends_at > starts_at),
    constraint number_mappings_organization_id_id_key unique (organization_id, id),
    -- At most one organization holds a number at any moment.
    constraint number_mappings_phone_number_id_excl exclude using gist
        (phone_number_id with =, tstzrange(starts_at, ends_at) with &&)
);
create index number_mappings_phone_number_id_idx on number_mappings (phone_number_id, starts_at);
create index number_mappings_organization_id_idx on number_mappings (organization_id, phone_number_id);
comment on table number_mappings is 'Which organization holds a number, from when to when.';

create table assignments (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    phone_number_id uuid not null references phone_numbers (id),
    user_id uuid not null,
    kind text not null default 'user' check (kind in ('owner', 'user')),
    starts_at timestamptz not null default now(),
    ends_at timestamptz,
    created_by uuid default acting_user_id() references users (id),
    primary key (organization_id, id),
    foreign key (organization_id, user_id) references memberships (organization_id, user_id),
    constraint assignments_period_check check (ends_at is null or ends_at >= starts_at)
);
create unique index assignments_live_key on assignments (organization_id, phone_number_id, user_id) where ends_at is null;
create index assignments_phone_number_id_idx on assignments (organization_id, phone_number_id, starts_at);
create index assignments_user_id_idx on assignments (organization_id, user_id) where ends_at is null;
comment on table assignments is 'A user''s right to use a number, dated.';

-- What shares an allowance, a tier total or a wallet: the unit of locking and rating.
create table accounts (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    constraint accounts_payer_key unique (organization_id, id, payer)
) with (fillfactor = 50);
create unique index accounts_organization_payer_key on accounts (organization_id) where payer = 'organization';
comment on table accounts is 'What shares an allowance, a tier total or a wallet: the unit of locking and rating.';

create table customers (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    account_id uuid not null,
    account_payer text not null default 'customer' check (account_payer = 'customer'),
    kind text not null default 'customer' check (kind in ('customer', 'prospect')),
    name text not null default '',
    -- What lists are sorted by: the nameless come last. A column, since `lower` may not reach an index under row-level security.
    sort_name text collate "C" not null generated always as (case name when '' then U&'\+10FFFF' else lower(name) end) stored,
    email text,
    user_id uuid references users (id),
    zone text,
    country text check (country ~ '^[A-Z]{2}$'),
    external_key text,
    tax_exempt boolean not null default false,
    -- Percent, at most six decimals; null: none.
    tax_percent numeric(9, 6) check (tax_percent >= 0 and tax_percent <= 100),
    tax_inclusive boolean not null default false,
    merged_into_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, account_id, account_payer) references accounts (organization_id, id, payer),
    foreign key (organization_id, merged_into_id) references customers (organization_id, id)
);
create unique index customers_external_key_key on customers (organization_id, external_key) where external_key is not null;
create index customers_account_id_idx on customers (organization_id, account_id);
create index customers_sort_name_idx on customers (organization_id, sort_name, id);
create index customers_kind_idx on customers (organization_id, kind, sort_name, id);
comment on table customers is 'Who pays an organization. An unknown caller becomes a prospect, never a lost call.';

create table contacts (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    customer_id uuid not null,
    name text not null default '',
    email text,
    role text not null default '',
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id)
);
create index contacts_customer_id_idx on contacts (organization_id, customer_id);
comment on table contacts is 'A person at a customer.';

create table customer_numbers (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    customer_id uuid not null,
    contact_id uuid,
    e164 text collate "C" not null check (e164 ~ '^\+[1-9][0-9]{4,14}$'),
    label text not null default '',
    starts_at timestamptz not null default '-infinity',
    ends_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, contact_id) references contacts (organization_id, id),
    constraint customer_numbers_period_check check (ends_at is null or ends_at > starts_at)
);
create index customer_numbers_e164_idx on customer_numbers (organization_id, e164);
create index customer_numbers_customer_id_idx on customer_numbers (organization_id, customer_id);
create unique index customer_numbers_live_key on customer_numbers (organization_id, e164, customer_id) where ends_at is null;
comment on table customer_numbers is 'The numbers a customer calls from, dated. Two customers may share one; the operator then chooses.';

create table customer_notes (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    customer_id uuid not null,
    body text not null check (body <> ''),
    created_by uuid default acting_user_id() references users (id),
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id)
);
create index customer_notes_customer_id_idx on customer_notes (organization_id, customer_id, created_at desc);
comment on table customer_notes is 'What an operator wants the next one to know.';

create table portal_users (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    customer_id uuid not null,
    user_id uuid not null references users (id),
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id, customer_id),
    foreign key (organization_id, customer_id) references customers (organization_id, id)
);
create index portal_users_user_id_idx on portal_users (user_id);
comment on table portal_users is 'A user who sees only one customer of an organization.';
