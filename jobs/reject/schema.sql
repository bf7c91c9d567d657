CREATE TABLE emp (
    empno      integer PRIMARY KEY,
    fname      varchar(40),
    lname      varchar(40) NOT NULL DEFAULT '',
    salary     numeric(10, 2),
    hired      date,
    full_name  text GENERATED ALWAYS AS (fname || ' ' || lname) STORED
);

CREATE TABLE badge (
    badge_no integer PRIMARY KEY,
    empno    integer NOT NULL
);

CREATE TABLE order_line (
    order_id integer NOT NULL,
    line_no  integer NOT NULL,
    PRIMARY KEY (order_id, line_no)
);

CREATE TABLE team (
    id     integer PRIMARY KEY,
    leader integer
);

CREATE TABLE player (
    id   integer PRIMARY KEY,
    team integer REFERENCES team
);

ALTER TABLE team ADD CONSTRAINT led FOREIGN KEY (leader) REFERENCES player (id);

CREATE TABLE guest (
    id   integer PRIMARY KEY,
    name text
);

CREATE TABLE visit (
    id    integer PRIMARY KEY,
    guest integer,
    FOREIGN KEY (guest) REFERENCES guest (id)
);
