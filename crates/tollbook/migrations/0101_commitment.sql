-- What fills the usage of a period up to what its payer committed to.

alter table charges
    drop constraint charges_kind_check,
    add constraint charges_kind_check check (kind in
        ('allowance', 'usage', 'overage', 'connection', 'minimum', 'maximum', 'not_charged', 'fee', 'commitment', 'manual'));
