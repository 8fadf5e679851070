-- What may be spent in a period, and where people are told on the way there.

create table spend_caps (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    amount numeric(38, 12) not null check (amount >= 0),
    -- No call is let through beyond it; otherwise people are told.
    is_hard boolean not null,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    constraint spend_caps_customer_check check ((payer = 'customer') = (customer_id is not null)),
    constraint spend_caps_payer_key unique nulls not distinct (organization_id, payer, customer_id)
);
comment on table spend_caps is 'What usage of one billing period may cost a payer. It comes before the cap of the plan.';

create table spend_totals (
    organization_id uuid not null,
    account_id uuid not null,
    payer text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- Start of the billing period, without a subscription of the calendar month.
    period_start timestamptz not null,
    amount numeric(38, 12) not null,
    primary key (organization_id, account_id, currency, period_start),
    foreign key (organization_id, account_id, payer) references accounts (organization_id, id, payer)
) with (fillfactor = 50);
comment on table spend_totals is 'What usage of a period was charged to an account: the sum of its charges, as they are stored. Written by who has the account.';

-- What there is already.
insert into spend_totals (organization_id, account_id, payer, currency, period_start, amount)
select c.organization_id, c.account_id, c.payer, c.currency,
    coalesce(p.starts_at, date_trunc('month', c.occurred_at at time zone o.zone) at time zone o.zone) as period_start, sum(c.amount)
from charges c
join organizations o on o.id = c.organization_id
left join billing_periods p on p.organization_id = c.organization_id and p.subscription_id = c.subscription_id
    and p.starts_at <= c.occurred_at and c.occurred_at < p.ends_at
where c.usage_event_id is not null
group by c.organization_id, c.account_id, c.payer, c.currency, 5
having sum(c.amount) <> 0;

create table usage_thresholds (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    -- Null: all customers of the organization.
    customer_id uuid,
    kind text not null check (kind in ('allowance', 'cap', 'wallet', 'meter')),
    -- What is counted; of a meter only.
    meter text,
    -- Whole percent of an allowance or a cap; what is left in a wallet, in major units; units of a meter.
    at numeric(38, 12) not null check (at > 0),
    created_at timestamptz not null default clock_timestamp(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    constraint usage_thresholds_customer_check check (customer_id is null or payer = 'customer'),
    constraint usage_thresholds_meter_check check ((kind = 'meter') = (meter is not null)),
    -- Totals of a meter are kept by organization and month.
    constraint usage_thresholds_counted_check check (kind <> 'meter' or customer_id is null),
    constraint usage_thresholds_percent_check check (kind not in ('allowance', 'cap') or (at = trunc(at) and at <= 1000)),
    constraint usage_thresholds_at_key unique nulls not distinct (organization_id, payer, customer_id, kind, meter, at)
);
create index usage_thresholds_kind_idx on usage_thresholds (kind, organization_id) where kind in ('wallet', 'meter');
comment on table usage_thresholds is 'Where people are told of usage. Those of a customer stand in place of those of all customers, and these in place of what is usual.';

-- What is held for a call under a cap, whoever pays: an amount needs no wallet any more.
alter table call_reservations
    add column cap_currency text check (cap_currency ~ '^[A-Z]{3}$'),
    drop constraint call_reservations_wallet_check,
    add constraint call_reservations_wallet_check check (amount = 0 or wallet_id is not null or cap_currency is not null);
comment on column call_reservations.amount is 'Set aside in the wallet, or under the cap; once it is closed, what was set aside last.';
comment on column call_reservations.cap_currency is 'Currency of the cap that it is held under; null: under none.';
