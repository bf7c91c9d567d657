CREATE TABLE `account` (
    `id`    int unsigned NOT NULL AUTO_INCREMENT,
    `email` varchar(100) NOT NULL,
    `name`  varchar(100) DEFAULT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `email` (`email`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
