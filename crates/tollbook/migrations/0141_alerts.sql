-- What people should look at.

create table alerts (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    kind text not null check (kind in ('allowance', 'cap', 'wallet', 'meter', 'cap_refused', 'usage_refused', 'usage_parked', 'webhook_parked',
        'fraud')),
    severity text not null check (severity in ('info', 'warning', 'critical')),
    -- What is the same alert: a threshold in a period, or what failed for one reason.
    group_key text not null check (group_key <> ''),
    customer_id uuid,
    -- What it is about: an allowance, a meter, a destination, a reason.
    subject text not null default '',
    detail jsonb not null default '{}',
    count bigint not null check (count > 0),
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    state text not null default 'open' check (state in ('open', 'acknowledged')),
    acknowledged_at timestamptz,
    acknowledged_by uuid references users (id),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    constraint alerts_group_key unique (organization_id, group_key),
    constraint alerts_acknowledged_check check ((state = 'acknowledged') = (acknowledged_at is not null)),
    constraint alerts_seen_check check (last_seen_at >= first_seen_at)
) with (fillfactor = 70);
create index alerts_last_seen_at_idx on alerts (organization_id, last_seen_at desc, id desc);
create index alerts_open_idx on alerts (organization_id, last_seen_at desc, id desc) where state = 'open';
create index alerts_customer_id_idx on alerts (organization_id, customer_id, last_seen_at desc) where customer_id is not null;
comment on table alerts is 'What people should look at, each thing once however often it happened. What happens again after it was seen to is open again.';
