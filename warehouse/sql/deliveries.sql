-- Records of the topic rev.deliveries as they are, each with its place in it.
INSERT INTO rev._deliveries FORMAT JSONEachRow
