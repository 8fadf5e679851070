-- What providers charge, said anew where they correct it; what waits for it; and the months in which numbers are held.

-- A cost is what is to be paid for one thing. What is known of it stands in rows that never change: the last one counts.
create table provider_prices (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    cost_id uuid not null,
    bearer text not null,
    -- The first price of a cost is 1; each correction is one more.
    revision integer not null check (revision > 0),
    -- Where it comes from: the provider was asked, somebody wrote it down, or the call turned out to be a part of another,
    -- in whose price it is.
    source text not null check (source in ('asked', 'by_hand', 'merged')),
    amount numeric(38, 12) not null check (amount >= 0),
    -- What it adds to the price before: days and periods are sums of these.
    change numeric(38, 12) not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- What it consists of, by the provider's ids: the legs of a call.
    parts jsonb not null default '[]',
    known_at timestamptz not null,
    created_by uuid default acting_user_id() references users (id),
    primary key (organization_id, id),
    constraint provider_prices_change_check check (revision > 1 or change = amount),
    constraint provider_prices_revision_key unique (organization_id, cost_id, revision)
);
create index provider_prices_known_at_idx on provider_prices (organization_id, bearer, known_at);
comment on table provider_prices is 'What a provider was known to charge, and since when. Append-only; a correction is a new row.';

alter table provider_costs
    -- The price that counts; null while it is pending.
    add column revision integer,
    add constraint provider_costs_bearer_key unique (organization_id, id, bearer);
alter table provider_prices add constraint provider_prices_cost_id_fkey
    foreign key (organization_id, cost_id, bearer) references provider_costs (organization_id, id, bearer);
insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, known_at)
    select organization_id, gen_random_uuid(), id, bearer, 1, 'asked', amount, amount, currency, known_at
    from provider_costs where amount is not null;
update provider_costs set revision = 1 where amount is not null;
alter table provider_costs
    add constraint provider_costs_revision_check check ((amount is null) = (revision is null)),
    add constraint provider_costs_revision_fkey
        foreign key (organization_id, id, revision) references provider_prices (organization_id, cost_id, revision),
    -- A price that is known is asked for once more, since the provider may correct it.
    drop constraint provider_costs_ask_check,
    add constraint provider_costs_ask_check check (ask_at is null or (integration_id is not null and sid is not null));
create index provider_costs_sid_idx on provider_costs (organization_id, sid) where sid is not null;
create index provider_costs_occurred_at_idx on provider_costs (organization_id, bearer, occurred_at);

-- Usage that is rated on a price waits for it.
alter table rating_queue add column cost_id uuid,
    add constraint rating_queue_cost_id_fkey foreign key (organization_id, cost_id) references provider_costs (organization_id, id);
create index rating_queue_cost_id_idx on rating_queue (organization_id, cost_id) where cost_id is not null;
-- What a charge on top of a price was computed from. The price itself is kept where only those who bear it see it.
alter table charges add column provider_price_id uuid;
create index charges_provider_price_id_idx on charges (organization_id, provider_price_id) where provider_price_id is not null;

create table number_months (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    mapping_id uuid not null,
    -- A calendar month in the organization's zone.
    period_start timestamptz not null,
    period_end timestamptz not null,
    -- Who owned the number when the month was recorded.
    user_id uuid,
    usage_event_id uuid not null,
    primary key (organization_id, id),
    foreign key (organization_id, mapping_id) references number_mappings (organization_id, id),
    foreign key (organization_id, user_id) references memberships (organization_id, user_id),
    foreign key (organization_id, usage_event_id) references usage_events (organization_id, id),
    constraint number_months_period_check check (period_end > period_start),
    constraint number_months_mapping_id_key unique (organization_id, mapping_id, period_start),
    constraint number_months_usage_event_id_key unique (organization_id, usage_event_id)
);
create index number_months_user_id_idx on number_months (organization_id, user_id, period_start);
comment on table number_months is 'A month in which an organization held a number of a provider that charges for it by the month.';
-- Whose customer a user is: months of numbers go to their owners.
create index customers_user_id_idx on customers (organization_id, user_id) where user_id is not null;
-- Those that are looked through for months that have begun.
create index phone_numbers_monthly_idx on phone_numbers (id) where active and provider = 'twilio';
