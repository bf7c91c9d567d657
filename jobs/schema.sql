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

CREATE TABLE shop_order (
    order_id  integer PRIMARY KEY,
    customer  text NOT NULL,
    placed_at timestamp with time zone,
    total     numeric(12, 2)
);

CREATE TABLE order_address (
    order_id integer PRIMARY KEY REFERENCES shop_order,
    street   text,
    city     text
);

CREATE TABLE order_line (
    order_id integer NOT NULL REFERENCES shop_order,
    line_no  integer NOT NULL,
    article  text    NOT NULL,
    quantity integer,
    currency char(3),
    PRIMARY KEY (order_id, line_no)
);

CREATE TABLE product_tag (
    product_id integer NOT NULL,
    tag        text    NOT NULL,
    PRIMARY KEY (product_id, tag)
);

CREATE TABLE score (
    game   text NOT NULL,
    player text NOT NULL,
    points double precision,
    PRIMARY KEY (game, player)
);

CREATE TABLE account (
    id      integer PRIMARY KEY,
    email   text,
    label   text,
    balance numeric(14, 2)
);

CREATE TABLE member (
    id    integer PRIMARY KEY,
    name  text,
    since date,
    plan  varchar(20)
);

CREATE TABLE price_change (
    article integer PRIMARY KEY,
    amount  numeric(10, 2),
    change  char(1)
);

CREATE TABLE album (
    album_id integer PRIMARY KEY,
    title    text NOT NULL,
    artist   text
);

CREATE TABLE inbox (
    id       integer PRIMARY KEY,
    subject  text,
    received timestamp with time zone
);
