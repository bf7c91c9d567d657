-- The tables that the jobs of this folder write. PostgreSQL; SQLite reads it as well.
CREATE TABLE emp (
    empno  integer PRIMARY KEY,
    fname  varchar(40),
    lname  varchar(40) NOT NULL,
    salary numeric(10, 2),
    hired  date
);

CREATE TABLE crm.customer (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    email        text,
    street       text,
    zip_code     varchar(10),
    city         text,
    newsletter   boolean,
    credit_limit numeric(12, 2),
    last_seen    timestamp with time zone
);

CREATE TABLE cart_item (
    customer text    NOT NULL,
    article  bigint  NOT NULL,
    quantity integer NOT NULL,
    price    numeric(10, 2),
    note     text,
    added_at timestamp,
    PRIMARY KEY (customer, article)
);

-- Versions: several rows have the same sku, so no unique index is over it alone.
CREATE TABLE price (
    sku        varchar(40)    NOT NULL,
    amount     numeric(12, 2) NOT NULL,
    currency   char(3)        NOT NULL,
    valid_from timestamp      DEFAULT CURRENT_TIMESTAMP,
    valid_to   timestamp
);

CREATE TABLE contact (
    id      integer PRIMARY KEY,
    name    varchar(80) NOT NULL,
    phone   varchar(20),
    country char(2) NOT NULL,
    city    text,
    street  text,
    tags    json,
    credit  numeric(12, 2)
);
