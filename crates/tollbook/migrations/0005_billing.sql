-- Offers, contracts, and what usage costs.

create table plans (
    seller_id uuid not null references sellers (id),
    id uuid not null,
    code text not null check (code ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text not null check (name <> ''),
    kind text not null check (kind in ('subscription', 'pay_per_call')),
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (seller_id, id),
    constraint plans_code_key unique (seller_id, code)
);
comment on table plans is 'An offer of a seller: the platform''s to organizations, or an organization''s to its customers.';

create table plan_versions (
    seller_id uuid not null,
    id uuid not null,
    plan_id uuid not null,
    version integer not null check (version > 0),
    state text not null default 'draft' check (state in ('draft', 'published')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- The whole plan; validated by the application against its schema before it is stored.
    document jsonb not null,
    published_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (seller_id, id),
    foreign key (seller_id, plan_id) references plans (seller_id, id),
    constraint plan_versions_version_key unique (seller_id, plan_id, version),
    constraint plan_versions_published_check check ((state = 'published') = (published_at is not null))
);
comment on table plan_versions is 'An edition of a plan; immutable once published.';

-- The pay-per-call terms in force for customers without a subscription, dated.
create table pay_per_call_terms (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    plan_version_id uuid not null,
    starts_at timestamptz not null,
    ends_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, plan_version_id) references plan_versions (seller_id, id),
    constraint pay_per_call_terms_period_check check (ends_at is null or ends_at > starts_at),
    constraint pay_per_call_terms_excl exclude using gist (organization_id with =, tstzrange(starts_at, ends_at) with &&)
);
comment on table pay_per_call_terms is 'What a customer without a subscription pays, by time.';

create table subscriptions (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    account_id uuid not null,
    state text not null check (state in ('trial', 'active', 'paused', 'canceled', 'ended')),
    zone text not null,
    -- The day that anchors the periods; day 31 means the last day of shorter months.
    anchor_on date not null,
    interval_months integer not null check (interval_months between 1 and 120),
    starts_at timestamptz not null,
    ends_at timestamptz,
    auto_renew boolean not null default true,
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, account_id, payer) references accounts (organization_id, id, payer),
    constraint subscriptions_customer_check check ((payer = 'customer') = (customer_id is not null)),
    constraint subscriptions_period_check check (ends_at is null or ends_at > starts_at),
    -- One account has one subscription at a time: what rates a usage is never ambiguous.
    constraint subscriptions_account_id_excl exclude using gist
        (organization_id with =, account_id with =, tstzrange(starts_at, ends_at) with &&)
);
create index subscriptions_customer_id_idx on subscriptions (organization_id, customer_id);
create index subscriptions_account_id_idx on subscriptions (organization_id, account_id, starts_at);
comment on table subscriptions is 'A contract of a payer. The zone in which its days are counted is kept on it.';

-- The plan version in force over time. Segments chain without gap or overlap, so that a change now does not cut periods.
create table subscription_segments (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    subscription_id uuid not null,
    seller_id uuid not null,
    plan_version_id uuid not null,
    prev_end timestamptz,
    starts_at timestamptz not null,
    -- The last segment is open: 'infinity'.
    ends_at timestamptz not null default 'infinity',
    primary key (organization_id, id),
    foreign key (organization_id, subscription_id) references subscriptions (organization_id, id),
    foreign key (seller_id, plan_version_id) references plan_versions (seller_id, id),
    constraint subscription_segments_seller_check check (seller_id in (organization_id, '00000000-0000-0000-0000-000000000000')),
    constraint subscription_segments_period_check check (ends_at > starts_at),
    constraint subscription_segments_chain_check check (prev_end is null or prev_end = starts_at),
    constraint subscription_segments_end_key unique (organization_id, subscription_id, ends_at),
    constraint subscription_segments_prev_key unique nulls not distinct (organization_id, subscription_id, prev_end),
    constraint subscription_segments_prev_fkey foreign key (organization_id, subscription_id, prev_end)
        references subscription_segments (organization_id, subscription_id, ends_at)
);
comment on table subscription_segments is 'Which plan version a subscription is on, over time: a chain without gap or overlap.';

create table billing_periods (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    subscription_id uuid not null,
    prev_end timestamptz,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, subscription_id) references subscriptions (organization_id, id),
    constraint billing_periods_period_check check (ends_at > starts_at),
    constraint billing_periods_chain_check check (prev_end is null or prev_end = starts_at),
    constraint billing_periods_end_key unique (organization_id, subscription_id, ends_at),
    constraint billing_periods_prev_key unique nulls not distinct (organization_id, subscription_id, prev_end),
    constraint billing_periods_prev_fkey foreign key (organization_id, subscription_id, prev_end)
        references billing_periods (organization_id, subscription_id, ends_at)
);
create index billing_periods_starts_at_idx on billing_periods (organization_id, subscription_id, starts_at desc);
create index billing_periods_ends_at_idx on billing_periods (ends_at);
comment on table billing_periods is 'The periods of a subscription: generated once from the anchor, a chain without gap or overlap.';

create table allowance_grants (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    account_id uuid not null,
    subscription_id uuid,
    allowance_key text not null,
    -- In the base unit of its meters.
    granted numeric(38, 12) not null check (granted >= 0),
    used numeric(38, 12) not null default 0,
    -- Taken away when a cycle began with more than the rollover's cap.
    forfeited numeric(38, 12) not null default 0 check (forfeited >= 0),
    starts_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, account_id) references accounts (organization_id, id),
    foreign key (organization_id, subscription_id) references subscriptions (organization_id, id),
    constraint allowance_grants_used_check check (used >= 0 and used + forfeited <= granted),
    constraint allowance_grants_period_check check (expires_at > starts_at),
    constraint allowance_grants_grant_key unique nulls not distinct
        (organization_id, account_id, subscription_id, allowance_key, starts_at)
) with (fillfactor = 50);
create index allowance_grants_account_id_idx on allowance_grants (organization_id, account_id, expires_at);
comment on table allowance_grants is 'Included quantity as rows: granted, used, expiring. The oldest expiring is used first.';

create table tier_totals (
    organization_id uuid not null,
    account_id uuid not null,
    price_key text not null,
    period_start timestamptz not null,
    quantity numeric(38, 12) not null default 0,
    primary key (organization_id, account_id, price_key, period_start),
    foreign key (organization_id, account_id) references accounts (organization_id, id)
) with (fillfactor = 50);
comment on table tier_totals is 'How much of a tiered price an account has used in a period.';

create table wallets (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    account_id uuid not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    balance numeric(38, 12) not null default 0,
    reserved numeric(38, 12) not null default 0 check (reserved >= 0),
    credit_limit numeric(38, 12) not null default 0 check (credit_limit >= 0),
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, account_id) references accounts (organization_id, id),
    constraint wallets_account_currency_key unique (organization_id, account_id, currency)
) with (fillfactor = 50);
comment on table wallets is 'Prepaid credit of an account.';

create table wallet_movements (
    organization_id uuid not null,
    id uuid not null,
    wallet_id uuid not null,
    kind text not null check (kind in ('top_up', 'draw', 'expire', 'refund', 'opening')),
    amount numeric(38, 12) not null check (amount <> 0),
    source_id uuid,
    occurred_at timestamptz not null,
    expires_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, wallet_id) references wallets (organization_id, id),
    constraint wallet_movements_source_key unique nulls not distinct (organization_id, wallet_id, kind, source_id, id)
);
create index wallet_movements_wallet_id_idx on wallet_movements (organization_id, wallet_id, occurred_at desc);
comment on table wallet_movements is 'Every change of a wallet. Append-only.';

create table invoices (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    seller_id uuid not null generated always as
        (case payer when 'organization' then '00000000-0000-0000-0000-000000000000'::uuid else organization_id end) stored references sellers (id),
    -- What it gathers: a billing period, one call, or items written by hand.
    kind text not null check (kind in ('period', 'call', 'one_off')),
    call_id uuid,
    state text not null default 'draft' check (state in ('draft', 'finalized', 'paid', 'void', 'uncollectible')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    period_start timestamptz not null,
    period_end timestamptz not null,
    zone text not null,
    number text,
    number_year integer,
    number_seq bigint,
    -- Drafts are finalized from here on.
    finalize_at timestamptz,
    finalized_at timestamptz,
    due_at timestamptz,
    subtotal_minor bigint not null default 0,
    tax_minor bigint not null default 0,
    total_minor bigint not null default 0,
    paid_minor bigint not null default 0 check (paid_minor >= 0),
    credited_minor bigint not null default 0 check (credited_minor >= 0),
    notes text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    constraint invoices_customer_check check ((payer = 'customer') = (customer_id is not null)),
    constraint invoices_call_check check ((kind = 'call') = (call_id is not null)),
    constraint invoices_period_check check (period_end > period_start),
    constraint invoices_total_check check (total_minor = subtotal_minor + tax_minor),
    constraint invoices_credited_check check (credited_minor <= greatest(total_minor, 0)),
    constraint invoices_number_check check ((state = 'draft') = (number is null)
        and (number is null) = (number_year is null) and (number is null) = (number_seq is null)
        and (number is null) = (finalized_at is null)),
    constraint invoices_number_key unique (seller_id, number_year, number_seq)
);
create unique index invoices_draft_period_key on invoices (organization_id, payer, customer_id, currency, period_start, period_end)
    nulls not distinct where state = 'draft' and kind = 'period';
create unique index invoices_draft_call_key on invoices (organization_id, call_id) where kind = 'call';
create index invoices_customer_id_idx on invoices (organization_id, customer_id, period_start desc);
create index invoices_state_idx on invoices (organization_id, state, period_start desc, id desc);
create index invoices_finalize_at_idx on invoices (finalize_at) where state = 'draft';
comment on table invoices is 'A document of one payer. A draft gathers charges; a finalized one cannot change.';

create table invoice_lines (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    invoice_id uuid not null,
    position integer not null check (position > 0),
    -- The charges behind the line are those of the invoice with the same group.
    line_group text not null,
    description text not null,
    quantity numeric(38, 12) not null,
    unit text not null,
    -- Of so many units (60 seconds, for a price per minute), where all charges of the line have one price.
    unit_price numeric(38, 12),
    divisor numeric(38, 12) check (divisor > 0),
    -- The exact amount: numerator over denominator.
    amount_numerator numeric(38, 0) not null,
    amount_denominator numeric(38, 0) not null check (amount_denominator > 0),
    amount_minor bigint not null,
    tax_percent numeric(9, 6) check (tax_percent >= 0),
    tax_inclusive boolean not null default false,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    charges bigint not null default 0,
    primary key (organization_id, id),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    constraint invoice_lines_position_key unique (organization_id, invoice_id, position),
    constraint invoice_lines_group_key unique (organization_id, invoice_id, line_group)
);
comment on table invoice_lines is 'A printed line: an exact amount, and the same rounded once to the currency''s minor unit.';

-- Charges are the subledger. No per-row foreign keys here, for speed; see schema/guards.sql.
create table charges (
    organization_id uuid not null,
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    account_id uuid not null,
    -- What is charged: usage, or a fee of a period.
    usage_event_id uuid,
    period_id uuid,
    revision integer not null default 1 check (revision > 0),
    part integer not null default 0 check (part >= 0),
    reverses_id uuid,
    kind text not null check (kind in ('allowance', 'usage', 'overage', 'connection', 'minimum', 'maximum', 'not_charged', 'fee', 'manual')),
    subscription_id uuid,
    seller_id uuid not null,
    plan_version_id uuid,
    -- Null: the plan has no price for the meter.
    price_key text,
    -- The band of the calendar, if the price has bands.
    band text,
    grant_id uuid,
    meter text,
    call_id uuid,
    quantity numeric(38, 12) not null,
    unit_price numeric(38, 12),
    divisor numeric(38, 12) check (divisor > 0),
    amount_numerator numeric(38, 0) not null,
    amount_denominator numeric(38, 0) not null check (amount_denominator > 0),
    -- For reading; an invoice line is computed from the exact fraction.
    amount numeric(38, 12) not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- The draft that it will be invoiced on. Invoicing never updates charges: a line names the same keys.
    -- Null: nothing was charged, so there is nothing to print.
    invoice_id uuid,
    line_group text not null,
    -- Of an item written by hand.
    description text,
    occurred_at timestamptz not null,
    trace_version smallint not null,
    trace jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (organization_id, id),
    constraint charges_source_check check (num_nonnulls(usage_event_id, period_id) <= 1 and
        (kind = 'manual' or num_nonnulls(usage_event_id, period_id) = 1)),
    constraint charges_customer_check check ((payer = 'customer') = (customer_id is not null)),
    constraint charges_allowance_check check ((kind = 'allowance') = (grant_id is not null)),
    constraint charges_invoice_check check (invoice_id is not null or kind = 'not_charged'),
    constraint charges_description_check check ((kind = 'manual') = (description is not null))
);
create unique index charges_usage_key on charges (organization_id, usage_event_id, payer, revision, part) where usage_event_id is not null and reverses_id is null;
create unique index charges_fee_key on charges (organization_id, period_id, payer, price_key, revision, part) nulls not distinct where period_id is not null and reverses_id is null;
create unique index charges_reverses_id_key on charges (organization_id, reverses_id) where reverses_id is not null;
create index charges_invoice_id_idx on charges (organization_id, invoice_id, line_group, occurred_at);
create index charges_call_id_idx on charges (organization_id, call_id) where call_id is not null;
create index charges_account_id_idx on charges (organization_id, account_id, occurred_at);
comment on table charges is 'The rated result of usage, with a trace that explains it. Never updated: a correction is a reversal and a new revision.';
