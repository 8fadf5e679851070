-- Calls that are let through for so long, and what is set aside for each.

create table call_authorizations (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    -- The caller's own name for the call: asked again, it is answered again.
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null check (length(request_hash) = 16),
    phone_number_id uuid not null references phone_numbers (id),
    direction text not null check (direction in ('incoming', 'outgoing')),
    external_e164 text collate "C" not null check (external_e164 ~ '^\+[1-9][0-9]{4,14}$'),
    -- Whose call it is; null: nobody's that is known.
    customer_id uuid,
    -- How long it may last, from its start.
    seconds integer not null check (seconds between 1 and 86400),
    started_at timestamptz not null,
    -- First instant at which nothing is held for it any more, should its end not be heard of.
    expires_at timestamptz not null,
    -- It did not happen.
    released_at timestamptz,
    created_by uuid references users (id),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    constraint call_authorizations_key unique (organization_id, key),
    constraint call_authorizations_period_check check (expires_at > started_at)
) with (fillfactor = 70);
comment on table call_authorizations is 'A call that is let through, and for how long.';
comment on column call_authorizations.request_hash is 'The first 16 bytes of SHA-256 of what was asked under the key.';

create table call_reservations (
    organization_id uuid not null,
    authorization_id uuid not null,
    account_id uuid not null,
    payer text not null,
    -- Null: nobody pays in advance, and only included time is held.
    wallet_id uuid,
    -- What the call is charged on: a plan version in a zone, in a period. Null: nobody sells it.
    seller_id uuid,
    plan_version_id uuid,
    zone text not null,
    period_start timestamptz not null,
    amount numeric(38, 12) not null default 0 check (amount >= 0),
    expires_at timestamptz not null,
    state text not null default 'open' check (state in ('open', 'settled', 'released', 'expired')),
    closed_at timestamptz,
    primary key (organization_id, authorization_id, account_id),
    foreign key (organization_id, authorization_id) references call_authorizations (organization_id, id),
    foreign key (organization_id, account_id, payer) references accounts (organization_id, id, payer),
    foreign key (organization_id, wallet_id, payer) references wallets (organization_id, id, payer),
    foreign key (seller_id, plan_version_id) references plan_versions (seller_id, id),
    constraint call_reservations_closed_check check ((state = 'open') = (closed_at is null)),
    constraint call_reservations_wallet_check check (amount = 0 or wallet_id is not null),
    constraint call_reservations_terms_check check ((seller_id is null) = (plan_version_id is null))
) with (fillfactor = 50);
create index call_reservations_account_id_idx on call_reservations (organization_id, account_id) where state = 'open';
create index call_reservations_wallet_id_idx on call_reservations (organization_id, wallet_id) where state = 'open';
create index call_reservations_expires_at_idx on call_reservations (expires_at, organization_id, account_id) where state = 'open';
comment on table call_reservations is 'What an account holds for a call in progress. Written by who has the account; what is open of a wallet is its wallets.reserved.';
comment on column call_reservations.amount is 'Set aside in the wallet; once it is closed, what was set aside last.';
