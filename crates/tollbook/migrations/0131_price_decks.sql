-- Prices by destination. An import is a version of its deck: from its time on it takes the place of all entries before it,
-- until the next one's time. What was in force at a time is never overwritten.

create table price_decks (
    seller_id uuid not null references sellers (id),
    id uuid not null,
    -- By which the rates of plans name it.
    key text not null check (key ~ '^[A-Za-z0-9_.-]{1,64}$'),
    name text not null check (name <> ''),
    created_at timestamptz not null default now(),
    primary key (seller_id, id),
    constraint price_decks_key_key unique (seller_id, key)
);
comment on table price_decks is 'A list of prices by the first digits of a number, of a seller.';

create table deck_versions (
    seller_id uuid not null,
    id uuid not null,
    deck_id uuid not null,
    version integer not null check (version > 0),
    -- Of several with the same time, the last one counts.
    effective_from timestamptz not null,
    entry_count integer not null check (entry_count > 0),
    created_by uuid default acting_user_id() references users (id),
    created_at timestamptz not null default now(),
    primary key (seller_id, id),
    foreign key (seller_id, deck_id) references price_decks (seller_id, id),
    constraint deck_versions_version_key unique (seller_id, deck_id, version)
);
create index deck_versions_effective_from_idx on deck_versions (seller_id, deck_id, effective_from, version);
comment on table deck_versions is 'All prices of a deck from a time on. Append-only; a correction is another version.';

create table deck_entries (
    seller_id uuid not null,
    version_id uuid not null,
    -- First digits of a number, without the plus sign.
    prefix text collate "C" not null check (prefix ~ '^[0-9]{1,15}$'),
    -- Of as many units as the plan's rate says, in the plan's currency.
    price numeric(38, 12) not null check (price >= 0),
    -- Instead of those of the plan's price, where they are given.
    connection_fee numeric(38, 12) check (connection_fee >= 0),
    increment text check (increment ~ '^[0-9]+/[0-9]+$'),
    primary key (seller_id, version_id, prefix),
    foreign key (seller_id, version_id) references deck_versions (seller_id, id)
);
comment on table deck_entries is 'The price of numbers that begin with a prefix. Append-only, and all of a version come with it.';

-- Whom a new deck concerns: subscriptions on plan versions that name it.
create index subscription_segments_plan_version_idx on subscription_segments (seller_id, plan_version_id, organization_id, subscription_id);
