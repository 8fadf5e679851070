-- Prepaid credit at work. No operation made a wallet before, so there is nothing to convert.

-- Who pays with it; what is charged on open documents less what was drawn for them, exact; what was drawn and is named by
-- no document yet.
alter table wallets
    add column customer_id uuid,
    -- Digits of the currency's minor unit: everything in a wallet is a whole number of these.
    add column minor_digits smallint not null default 2 check (minor_digits in (0, 2, 3)),
    add column undrawn_numerator numeric(38, 0) not null default 0,
    add column undrawn_denominator numeric(38, 0) not null default 1 check (undrawn_denominator > 0),
    add column unapplied numeric(38, 12) not null default 0,
    -- Usage was kept that there is no credit for.
    add column is_overdrawn boolean not null default false,
    add constraint wallets_customer_id_fkey foreign key (organization_id, customer_id) references customers (organization_id, id),
    add constraint wallets_customer_check check ((payer = 'customer') = (customer_id is not null)),
    add constraint wallets_balance_check check (balance >= 0),
    add constraint wallets_unapplied_check check (unapplied >= 0),
    -- Who promises or pays out credit writes that the wallet is not overdrawn, and is refused where it would be. Only who
    -- keeps usage may write that it is.
    add constraint wallets_available_check
        check (is_overdrawn = ((balance + credit_limit - reserved) * undrawn_denominator < undrawn_numerator));
create index wallets_customer_id_idx on wallets (organization_id, customer_id, currency);
comment on table wallets is 'Prepaid credit of a payer in one currency. The balance is the sum of its movements and of what is left of its lots, and never below zero; usage beyond it is kept as not drawn.';
comment on column wallets.undrawn_numerator is 'With undrawn_denominator: charges on open documents less what was drawn for them, in major units.';
comment on column wallets.unapplied is 'Drawn, and named by no document yet.';
comment on column wallets.is_overdrawn is 'Whether more is charged and reserved than there is credit.';

-- A movement takes from a lot or gives back to one, or brings a new one.
alter table wallet_movements
    add column lot_id uuid,
    add column reference text not null default '',
    add column created_by uuid default acting_user_id() references users (id),
    add column created_at timestamptz not null default clock_timestamp(),
    add constraint wallet_movements_sign_check check (case kind when 'draw' then true when 'top_up' then amount > 0
        when 'opening' then amount > 0 else amount < 0 end),
    add constraint wallet_movements_lot_check check ((kind in ('top_up', 'opening')) = (lot_id is null)),
    add constraint wallet_movements_expires_at_check check (expires_at is null or lot_id is null),
    add constraint wallet_movements_id_wallet_key unique (organization_id, id, wallet_id);
create index wallet_movements_created_at_idx on wallet_movements (organization_id, wallet_id, id desc);
create index wallet_movements_lot_id_idx on wallet_movements (organization_id, lot_id) where lot_id is not null;
comment on table wallet_movements is 'Every change of a wallet. Append-only. A draw above zero gives back what a correction took back.';

create table wallet_lots (
    organization_id uuid not null,
    -- The movement that brought it.
    id uuid not null,
    wallet_id uuid not null,
    payer text not null,
    amount numeric(38, 12) not null check (amount > 0),
    used numeric(38, 12) not null default 0,
    received_at timestamptz not null,
    expires_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, wallet_id, payer) references wallets (organization_id, id, payer),
    foreign key (organization_id, id, wallet_id) references wallet_movements (organization_id, id, wallet_id),
    constraint wallet_lots_used_check check (used >= 0 and used <= amount),
    constraint wallet_lots_period_check check (expires_at is null or expires_at > received_at),
    constraint wallet_lots_id_wallet_key unique (organization_id, id, wallet_id)
) with (fillfactor = 50);
create index wallet_lots_wallet_id_idx on wallet_lots (organization_id, wallet_id, expires_at);
create index wallet_lots_expires_at_idx on wallet_lots (expires_at) where used < amount and expires_at is not null;
comment on table wallet_lots is 'A top-up and what was taken of it. The oldest expiring is drawn first.';
alter table wallet_movements add constraint wallet_movements_lot_id_fkey
    foreign key (organization_id, lot_id, wallet_id) references wallet_lots (organization_id, id, wallet_id);

-- What of an invoice was paid from a wallet; it is part of what is paid.
alter table invoices
    add column prepaid_minor bigint not null default 0,
    add constraint invoices_prepaid_check check (prepaid_minor >= 0 and prepaid_minor <= paid_minor);
comment on column invoices.prepaid_minor is 'Paid from the payer''s wallet; part of paid_minor.';
