-- What providers charge, in the ledger: one entry for each provider, meter and day on which prices became known.

create table provider_cost_days (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    bearer text not null check (bearer in ('platform', 'organization')),
    provider text not null,
    meter text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- In UTC, as providers count them.
    day date not null,
    -- What became known on the day, corrections included, and what all days up to it come to: exact.
    amount numeric(38, 12) not null,
    total numeric(38, 12) not null,
    prices bigint not null check (prices > 0),
    -- The total, rounded, less that of the days before, rounded: so that what is rounded away is not lost.
    amount_minor bigint not null,
    minor_digits smallint not null check (minor_digits between 0 and 4),
    primary key (organization_id, id),
    constraint provider_cost_days_day_key unique (organization_id, bearer, provider, meter, currency, day)
);
comment on table provider_cost_days is 'What became known of a provider''s prices on a day: the document behind a ledger entry. Append-only.';

-- The first day that is not posted yet. No price becomes known before it.
create table cost_postings (
    organization_id uuid primary key references organizations (id),
    posted_until date not null
);
comment on table cost_postings is 'How far the prices of providers are in the ledger.';

drop index provider_prices_known_at_idx;
create index provider_prices_known_at_idx on provider_prices (organization_id, known_at);

-- What a provider charges is seen by who bears it alone, so transfers say whether they are of that: the organization's
-- admin reads the platform's sale, and not its costs.
alter table ledger_entries add column is_cost boolean not null generated always as (document = 'cost') stored,
    add constraint ledger_entries_id_payer_is_cost_key unique (organization_id, id, payer, is_cost);
alter table transfers add column is_cost boolean not null default false,
    drop constraint transfers_entry_id_fkey,
    add constraint transfers_entry_id_fkey
        foreign key (organization_id, entry_id, payer, is_cost) references ledger_entries (organization_id, id, payer, is_cost);
alter table ledger_entries drop constraint ledger_entries_id_payer_key;
